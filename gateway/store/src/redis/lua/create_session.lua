-- KEYS[6]  the session
-- ARGV     its body, its lifetime in milliseconds, the row of its end (id, body, milliseconds until it is due), the session's
--          id, and how many sessions and how many bytes the client may keep
-- Answer   1: created, 0: a session of this name exists; 2, 3: the client has too many sessions, bytes; and milliseconds until
--          its first session ends
local session = KEYS[6]
if redis.call('EXISTS', session) == 1 then
    return {0, 0}
end
local sessions, _, bytes = kept()
if sessions >= tonumber(ARGV[8]) then
    return {2, first_expiry()}
end
if bytes + #ARGV[2] > tonumber(ARGV[9]) then
    return {3, first_expiry()}
end
redis.call('HSET', session, 'body', ARGV[2], 'replay', 0, 'added', 0)
redis.call('PEXPIRE', session, ARGV[3])
count_item(ARGV[7], now() + ARGV[3], 0, #ARGV[2])
write_row(ARGV[4], ARGV[5], ARGV[6])
return done({1, 0})
