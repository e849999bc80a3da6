-- KEYS[6]  the idempotency record
-- ARGV     holder, milliseconds for which the record is kept, and the answer, if there is one; without an answer the next
--          attempt may claim the key
-- Answer   1: ended, 0: another holder has taken over
local record = KEYS[6]
if redis.call('HGET', record, 'run') ~= ARGV[2] then
    return 0
end
-- This write comes first because it needs no memory.
redis.call('PEXPIRE', record, ARGV[3])
if ARGV[4] then
    redis.call('HSET', record, 'answer', ARGV[4])
else
    redis.call('HSET', record, 'ends', 0)
end
return done(1)
