-- ARGV     the row's id, the lease's id, milliseconds until it is due, and the new body, if there is one
-- Answer   1: postponed, 0: the row has another lease or none
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
