-- KEYS[6]  the idempotency record
-- ARGV     fingerprint, resource, holder, milliseconds of the lease, milliseconds for which the record is kept
-- Answer   1 and the resource: acquired; 0 and milliseconds: in progress; 2 and the answer: completed; 3: mismatch
local record = KEYS[6]
local fingerprint, resource, ends, answer = unpack(redis.call('HMGET', record, 'fingerprint', 'subject', 'ends', 'answer'))
if not fingerprint then
    redis.call('HSET', record, 'fingerprint', ARGV[2], 'subject', ARGV[3], 'run', ARGV[4], 'ends', now() + ARGV[5])
    redis.call('PEXPIRE', record, ARGV[6])
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
redis.call('HSET', record, 'run', ARGV[4], 'ends', now() + ARGV[5])
redis.call('PEXPIRE', record, ARGV[6])
return done({1, resource, 0})
