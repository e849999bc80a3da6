-- KEYS[6]  the request
-- ARGV     its fingerprint, subject, run, milliseconds of the lease, milliseconds to keep it
-- Answer   1 and the subject: go, 0 and milliseconds: another run is at it, 2 and the answer: done, 3: another request
local request = KEYS[6]
local fingerprint, subject, ends, answer = unpack(redis.call('HMGET', request, 'fingerprint', 'subject', 'ends', 'answer'))
if not fingerprint then
    redis.call('HSET', request, 'fingerprint', ARGV[2], 'subject', ARGV[3], 'run', ARGV[4], 'ends', now() + ARGV[5])
    redis.call('PEXPIRE', request, ARGV[6])
    return done({1, ARGV[3], 0})
end
if fingerprint ~= ARGV[2] then
    return {3, '', 0}
end
if answer then
    return {2, answer, 0}
end
local left = ends - now()
if left > 0 then
    return {0, '', left}
end
redis.call('HSET', request, 'run', ARGV[4], 'ends', now() + ARGV[5])
redis.call('PEXPIRE', request, ARGV[6])
return done({1, subject, 0})
