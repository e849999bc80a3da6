-- Precedes each script that changes something.
--
-- KEYS[1]     the answer to this change
-- KEYS[2..5]  the outbox: due times, bodies, numbers of leases, leases
-- ARGV[1]     milliseconds for which the answer is kept

-- A client whose connection broke sends the change again, and the first one may arrive even after the second.
local answered = redis.call('GET', KEYS[1])
if answered then
    return cmsgpack.unpack(answered)
end

-- A server without free memory refuses a script at its first write that needs memory, and only there. Scripts that free
-- memory, or must not wait for free memory, therefore begin with a write that needs none.

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

-- The outbox: row ids by the time at which they are due (or their lease ends), and a hash for each value of a row.
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
