-- KEYS[6]  the session
-- ARGV     its body, its lifetime in milliseconds, and the row of its end: id, body, milliseconds until it is due
-- Answer   1: created, 0: a session of this name exists
local session = KEYS[6]
if redis.call('EXISTS', session) == 1 then
    return 0
end
redis.call('HSET', session, 'body', ARGV[2], 'replay', 0, 'added', 0)
redis.call('PEXPIRE', session, ARGV[3])
write_row(ARGV[4], ARGV[5], ARGV[6])
return done(1)
