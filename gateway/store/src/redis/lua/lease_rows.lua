-- ARGV     the maximum number of rows, milliseconds of the lease, the lease's id
-- Answer   the rows: id, attempt, body
local present = now()
local rows = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', present, 'LIMIT', 0, ARGV[2])) do
    -- Removed and added again instead of updated, because the first write must need no memory (see the prelude).
    redis.call('ZREM', DUE, id)
    redis.call('ZADD', DUE, present + ARGV[3], id)
    redis.call('HSET', LEASE, id, ARGV[4])
    rows[#rows + 1] = {id, redis.call('HINCRBY', ATTEMPT, id, 1), redis.call('HGET', BODY, id)}
end
if #rows == 0 then
    return rows
end
return done(rows)
