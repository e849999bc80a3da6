-- KEYS[6]  the session
-- ARGV     the face's field, its body, and the session's maximum number of faces
-- Answer   2: the session has the face, 1: full, 0: no session
local session = KEYS[6]
if redis.call('EXISTS', session) == 0 then
    return 0
end
if redis.call('HEXISTS', session, ARGV[2]) == 1 then
    return 2
end
-- The fields `body`, `replay` and `added` are not faces.
if redis.call('HLEN', session) - 3 >= tonumber(ARGV[4]) then
    return 1
end
local position = redis.call('HINCRBY', session, 'added', 1)
redis.call('HSET', session, ARGV[2], struct.pack('>I8', position) .. ARGV[3])
return done(2)
