-- KEYS[6]  the session
-- ARGV     1: a replay is in progress, 0: none is
-- Answer   1: recorded, 0: no session
local session = KEYS[6]
if redis.call('EXISTS', session) == 0 then
    return 0
end
redis.call('HDEL', session, 'replay')
redis.call('HSET', session, 'replay', ARGV[2])
return done(1)
