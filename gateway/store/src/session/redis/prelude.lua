-- Goes before each script that changes something.
--
-- KEYS[1]  the answer to this very operation
-- ARGV[1]  milliseconds for which that answer is kept

-- A caller whose connection broke asks again, and the first question may arrive even after the second.
local told = redis.call('GET', KEYS[1])
if told then
    return cmsgpack.unpack(told)
end

-- What a full server refuses a script it refuses at its first write, and only there. So scripts that make room, or must
-- not wait for room, begin with a write that needs none.

-- Ends a script that has changed something.
local function done(answer)
    redis.call('SET', KEYS[1], cmsgpack.pack(answer), 'PX', ARGV[1])
    return answer
end

-- Milliseconds since 1970, the same ones throughout a script.
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The outbox: row ids by the time at which they are (or will be leased again) due, and what belongs to an id.
local DUE, BODY, ATTEMPT, LEASE = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function forget_row(id)
    redis.call('ZREM', DUE, id)
    redis.call('HDEL', BODY, id)
    redis.call('HDEL', ATTEMPT, id)
    redis.call('HDEL', LEASE, id)
end

local function write_row(id, body, due_in)
    forget_row(id)
    redis.call('ZADD', DUE, now() + due_in, id)
    redis.call('HSET', BODY, id, body)
end
