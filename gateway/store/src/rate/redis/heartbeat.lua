-- KEYS[1]  gateways by the time of their last heartbeat
-- ARGV     this gateway, and the seconds after which a gateway without a heartbeat no longer counts
-- Answer   the number of gateways
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
