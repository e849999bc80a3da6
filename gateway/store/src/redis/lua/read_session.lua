-- KEYS[1]  the session
-- Answer   its body and the milliseconds until it ends, or nothing
local body = redis.call('HGET', KEYS[1], 'body')
return body and {body, redis.call('PTTL', KEYS[1])}
