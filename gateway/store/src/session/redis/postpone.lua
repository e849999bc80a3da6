-- ARGV     the row's id, the lease's id, milliseconds to wait, and maybe a new body
-- Answer   1: postponed, 0: the lease is not the row's
local id = ARGV[2]
if redis.call('HGET', LEASE, id) ~= ARGV[3] then
    return 0
end
redis.call('HDEL', LEASE, id)
redis.call('ZADD', DUE, now() + ARGV[4], id)
if ARGV[5] then
    redis.call('HSET', BODY, id, ARGV[5])
end
return done(1)
