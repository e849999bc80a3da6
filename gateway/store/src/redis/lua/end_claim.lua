-- KEYS[6]  the idempotency record
-- ARGV     holder, milliseconds for which the record is kept, the record's key, and the answer, if there is one; without an
--          answer the next attempt may claim the key
-- Answer   1: ended, 0: another holder has taken over
local record = KEYS[6]
if redis.call('HGET', record, 'run') ~= ARGV[2] then
    return 0
end
-- This write comes first because it needs no memory.
redis.call('PEXPIRE', record, ARGV[3])
if tonumber(ARGV[3]) <= 0 then
    forget_item(ARGV[4])
    close_ledger()
    return done(1)
end
if ARGV[5] then
    redis.call('HSET', record, 'answer', ARGV[5])
else
    redis.call('HSET', record, 'ends', 0)
end
count_item(ARGV[4], now() + ARGV[3], 0, ARGV[5] and #ARGV[5] or 0)
return done(1)
