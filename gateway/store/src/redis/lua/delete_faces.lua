-- KEYS[6]  the session
-- ARGV     the row to write if a face is deleted (id, body, milliseconds until it is due; an empty id: no row), and the
--          faces' fields
-- Answer   how many faces were deleted, -1: no session
local session = KEYS[6]
if redis.call('EXISTS', session) == 0 then
    return -1
end
local deleted = 0
for index = 5, #ARGV do
    deleted = deleted + redis.call('HDEL', session, ARGV[index])
end
if deleted == 0 then
    return 0
end
if ARGV[2] ~= '' then
    write_row(ARGV[2], ARGV[3], ARGV[4])
end
return done(deleted)
