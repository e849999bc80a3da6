-- GCRA: of a key is kept when its next request would arrive if all that were let in had come evenly spaced. Times are whole
-- tenths of a microsecond since 2020, which a double holds exactly until 2048.
--
-- KEYS[1]  the key's rate
-- KEYS[2]  the key's quota: how many were let in since the span began
-- ARGV     tenths of a microsecond between two requests, burst, the quota's requests (0: no quota), and ends of spans in
--          order (seconds since 1970), of which the first that is to come is that of the present span
-- Answer   0: let in, 1: refused by the rate, 2: refused by the quota; microseconds until the rate lets one in, how many it
--          would let in at once, microseconds until that is the burst; what is left of the quota, seconds until its end
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = (seconds - 1577836800) * 10000000 + time[2] * 10
local interval, burst, quota = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = interval * burst

-- Never further ahead than a whole burst: the rate may have been another one, and the clock may have been set.
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
