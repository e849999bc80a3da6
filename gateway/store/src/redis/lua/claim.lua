-- KEYS[6]  the idempotency record
-- ARGV     fingerprint, resource, holder, milliseconds of the lease, milliseconds for which the record is kept, the record's
--          key, and how many records and how many bytes the client may keep
-- Answer   1 and the resource: acquired; 0 and milliseconds: in progress; 2 and the answer: completed; 3: mismatch; 4, 5 and
--          milliseconds until the client's first record expires: the client has too many records, bytes
local record = KEYS[6]
local fingerprint, resource, ends, answer = unpack(redis.call('HMGET', record, 'fingerprint', 'subject', 'ends', 'answer'))
if not fingerprint then
    local records, _, bytes = kept()
    if records >= tonumber(ARGV[8]) then
        return {4, '', first_expiry()}
    end
    if bytes >= tonumber(ARGV[9]) then
        return {5, '', first_expiry()}
    end
    redis.call('HSET', record, 'fingerprint', ARGV[2], 'subject', ARGV[3], 'run', ARGV[4], 'ends', now() + ARGV[5])
    redis.call('PEXPIRE', record, ARGV[6])
    count_item(ARGV[7], now() + ARGV[6], 0, 0)
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
count_item(ARGV[7], now() + ARGV[6], 0, 0)
return done({1, resource, 0})
