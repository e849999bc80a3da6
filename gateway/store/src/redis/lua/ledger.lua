-- Follows the prelude in scripts that change what a client keeps.
--
-- KEYS[7]  the client's items (session ids, or keys of idempotency records) by the time at which they end
-- KEYS[8]  a hash: the totals `units` and `bytes` of all items, and the part of each item, `units:<item>` and `bytes:<item>`
--
-- Units are the faces of a session. An item that has ended counts no more, whether or not it is still listed.
local ITEMS, PARTS = KEYS[7], KEYS[8]
local KINDS = {'units', 'bytes'}

-- Ended items that one script forgets. Each script adds one at most, so none are left for long.
local MAX_FORGOTTEN = 1000

local function ended_items()
    return redis.call('ZRANGEBYSCORE', ITEMS, '-inf', now(), 'LIMIT', 0, MAX_FORGOTTEN)
end

local function part(kind, item)
    return tonumber(redis.call('HGET', PARTS, kind .. ':' .. item) or 0)
end

-- What the client keeps: items, units, bytes. Reads only.
local function kept()
    local totals = {units = 0, bytes = 0}
    for _, kind in ipairs(KINDS) do
        totals[kind] = tonumber(redis.call('HGET', PARTS, kind) or 0)
        for _, item in ipairs(ended_items()) do
            totals[kind] = totals[kind] - part(kind, item)
        end
    end
    local items = redis.call('ZCOUNT', ITEMS, string.format('(%.0f', now()), '+inf')
    return items, totals.units, totals.bytes
end

-- Milliseconds until the client's first item ends.
local function first_expiry()
    local first = redis.call(
        'ZRANGEBYSCORE', ITEMS, string.format('(%.0f', now()), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    return first and first - now() or 0
end

-- Adds to the part of an item. A negative amount takes away no more than is there.
local function change_part(item, kind, amount)
    amount = math.max(amount, -part(kind, item))
    if amount ~= 0 then
        redis.call('HINCRBY', PARTS, kind, amount)
        redis.call('HINCRBY', PARTS, kind .. ':' .. item, amount)
    end
end

local function forget_item(item)
    if redis.call('ZREM', ITEMS, item) == 1 then
        for _, kind in ipairs(KINDS) do
            change_part(item, kind, -part(kind, item))
            redis.call('HDEL', PARTS, kind .. ':' .. item)
        end
    end
end

-- Ends each change: forgets what has ended, and lets both keys expire with the last item.
local function close_ledger()
    for _, item in ipairs(ended_items()) do
        forget_item(item)
    end
    local last = redis.call('ZREVRANGE', ITEMS, 0, 0, 'WITHSCORES')[2]
    if last then
        redis.call('PEXPIREAT', ITEMS, last)
        redis.call('PEXPIREAT', PARTS, last)
    else
        redis.call('UNLINK', PARTS)
    end
end

-- Adds units and bytes to an item that ends at `ends`. A new item is listed.
local function count_item(item, ends, units, bytes)
    redis.call('ZADD', ITEMS, ends, item)
    change_part(item, 'units', units)
    change_part(item, 'bytes', bytes)
    close_ledger()
end
