-- ARGV     the row: id, body, milliseconds until it is due
-- Answer   1
--
-- A repeated call writes the same row again, so no answer has to be kept for it. The first write needs memory: a full
-- server refuses rows.
local id = ARGV[2]
redis.call('HSET', BODY, id, ARGV[3])
redis.call('ZADD', DUE, now() + ARGV[4], id)
redis.call('HDEL', ATTEMPT, id)
redis.call('HDEL', LEASE, id)
return 1
