-- KEYS[6]  the session
-- ARGV     the row to write if a face is deleted (id, body, milliseconds until it is due; an empty id: no row), the session's
--          id, and the faces' fields
-- Answer   how many faces were deleted, -1: no session
local session = KEYS[6]
if redis.call('EXISTS', session) == 0 then
    return -1
end
local deleted, bytes = 0, 0
for index = 6, #ARGV do
    local length = redis.call('HSTRLEN', session, ARGV[index])
    if redis.call('HDEL', session, ARGV[index]) == 1 then
        deleted = deleted + 1
        -- Eight bytes of the field are the face's position.
        bytes = bytes + length - 8
    end
end
if deleted == 0 then
    return 0
end
change_part(ARGV[5], 'units', -deleted)
change_part(ARGV[5], 'bytes', -bytes)
close_ledger()
if ARGV[2] ~= '' then
    write_row(ARGV[2], ARGV[3], ARGV[4])
end
return done(deleted)
