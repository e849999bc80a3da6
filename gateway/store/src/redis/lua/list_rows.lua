-- KEYS     the due times, the bodies and the numbers of leases of an outbox
-- ARGV     the maximum number of rows
-- Answer   the rows, longest due first: id, number of leases, milliseconds until it is due, body
local DUE, BODY, ATTEMPT = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local rows = {}
for index = 1, #due, 2 do
    local id = due[index]
    local attempts = tonumber(redis.call('HGET', ATTEMPT, id) or 0)
    rows[#rows + 1] = {id, attempts, math.max(due[index + 1] - now, 0), redis.call('HGET', BODY, id)}
end
return rows
