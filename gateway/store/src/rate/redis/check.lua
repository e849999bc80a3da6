-- GCRA: the state of a rate is the theoretical arrival time: when the next request would arrive if all that passed had come
-- evenly spaced. Times are whole ticks of 0.1 us since 2020, which a double holds exactly until 2048.
--
-- KEYS[1]  the key's rate
-- KEYS[2]  the key's quota: requests that passed since the span began
-- ARGV     ticks between two requests, burst, the quota's requests (0: no quota), and the ends of consecutive spans (seconds
--          since 1970); the first that lies in the future is the end of the current span
-- Answer   0: passed, 1: refused by the rate, 2: refused by the quota; then microseconds until the rate allows a request,
--          requests that it allows at once, microseconds until those are the burst; then requests that are left of the
--          quota, and seconds until its span ends
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = (seconds - 1577836800) * 10000000 + time[2] * 10
local interval, burst, quota = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = interval * burst

-- At most a whole burst ahead: the rate may have been different before, and the clock may have been set back.
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
arrival = math.min(math.max(arrival, now), now + full)
local wait = math.max(arrival + interval - full - now, 0)

local counted, ends = 0, seconds
if quota > 0 then
    counted = tonumber(redis.call('GET', KEYS[2]) or 0)
    for index = 4, #ARGV do
        ends = tonumber(ARGV[index])
        if ends > seconds then
            break
        end
    end
end

local verdict = 0
if quota > 0 and counted >= quota then
    verdict = 2
elseif wait > 0 then
    verdict = 1
else
    arrival = arrival + interval
    redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 10000))
    if quota > 0 then
        counted = redis.call('INCR', KEYS[2])
        redis.call('EXPIREAT', KEYS[2], ends)
    end
end
return {
    verdict,
    math.ceil(wait / 10),
    math.floor((now + full - arrival) / interval),
    math.ceil((arrival - now) / 10),
    math.max(quota - counted, 0),
    math.max(ends - seconds, 0),
}
