-- ARGV     the row: id, body, milliseconds
--
-- A repetition writes the same row again, so that no answer has to be kept for it. The first write needs room: a full
-- server takes no rows.
local id = ARGV[2]
redis.call('HSET', BODY, id, ARGV[3])
redis.call('ZADD', DUE, now() + ARGV[4], id)
redis.call('HDEL', ATTEMPT, id)
redis.call('HDEL', LEASE, id)
return 1
