-- KEYS[6..9]  the outbox that the row moves to
-- ARGV        the row's id, milliseconds until it is due there
-- Answer      1: moved, 0: no such row
local id = ARGV[2]
local body = redis.call('HGET', BODY, id)
if not body then
    return 0
end
forget_row(id)
write_row_at(6, id, body, ARGV[3])
return done(1)
