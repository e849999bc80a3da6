-- KEYS[6]  the session
-- ARGV     the face's field, its body, the session's maximum number of faces, the session's id, and how many faces and how
--          many bytes the client may keep
-- Answer   2: the session has the face, 1: full, 0: no session; 3, 4: the client has too many faces, bytes; and milliseconds
--          until its first session ends
local session = KEYS[6]
local left = redis.call('PTTL', session)
if left < 0 then
    return {0, 0}
end
if redis.call('HEXISTS', session, ARGV[2]) == 1 then
    return {2, 0}
end
-- The fields `body`, `replay` and `added` are not faces, nor the four that `change_replay.lua` writes.
local other_fields = 3 + 4 * redis.call('HEXISTS', session, 'revision')
if redis.call('HLEN', session) - other_fields >= tonumber(ARGV[4]) then
    return {1, 0}
end
local _, faces, bytes = kept()
if faces >= tonumber(ARGV[6]) then
    return {3, first_expiry()}
end
if bytes + #ARGV[3] > tonumber(ARGV[7]) then
    return {4, first_expiry()}
end
local position = redis.call('HINCRBY', session, 'added', 1)
redis.call('HSET', session, ARGV[2], struct.pack('>I8', position) .. ARGV[3])
count_item(ARGV[5], now() + left, 1, #ARGV[3])
return done({2, 0})
