-- KEYS[6]  the request
-- ARGV     the run, milliseconds to keep the answer, and maybe the answer; without one the next run may begin
-- Answer   1: noted, 0: another run has taken over
local request = KEYS[6]
if redis.call('HGET', request, 'run') ~= ARGV[2] then
    return 0
end
-- First a write that needs no room.
redis.call('PEXPIRE', request, ARGV[3])
if ARGV[4] then
    redis.call('HSET', request, 'answer', ARGV[4])
else
    redis.call('HSET', request, 'ends', 0)
end
return done(1)
