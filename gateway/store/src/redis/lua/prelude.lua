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

-- Removes a row from the outbox whose first key is KEYS[first].
local function forget_row_at(first, id)
    local due, body, attempt, lease = unpack(KEYS, first, first + 3)
    redis.call('ZREM', due, id)
    redis.call('HDEL', body, id)
    redis.call('HDEL', attempt, id)
    redis.call('HDEL', lease, id)
end

-- Writes a row to the outbox whose first key is KEYS[first].
local function write_row_at(first, id, body, due_in)
    forget_row_at(first, id)
    redis.call('ZADD', KEYS[first], now() + due_in, id)
    redis.call('HSET', KEYS[first + 1], id, body)
end

local function forget_row(id)
    forget_row_at(2, id)
end

local function write_row(id, body, due_in)
    write_row_at(2, id, body, due_in)
end
