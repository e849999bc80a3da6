-- KEYS[6]  the session
-- ARGV     the row of its end (id, body, milliseconds until it is due), and the session's id
-- Answer   2: deleted, 1: a replay is in progress, 0: no session
local session = KEYS[6]
local replay = redis.call('HGET', session, 'replay')
if not replay then
    return 0
end
if replay == '1' then
    return 1
end
redis.call('UNLINK', session)
forget_item(ARGV[5])
close_ledger()
write_row(ARGV[2], ARGV[3], ARGV[4])
return done(2)
