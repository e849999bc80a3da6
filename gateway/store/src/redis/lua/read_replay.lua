-- KEYS[1]  the session
-- Answer   0: no session, 1: no replay, 2: a replay; its revision, its record, and the milliseconds that are left for the upload
--          and of the lease
local state, revision, record, upload_ends, lease_ends =
    unpack(redis.call('HMGET', KEYS[1], 'replay', 'revision', 'record', 'upload_ends', 'lease_ends'))
if not state then
    return {0, 0, '', 0, 0}
end
if not revision then
    return {1, 0, '', 0, 0}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {2, tonumber(revision), record, math.max(upload_ends - now, 0), math.max(lease_ends - now, 0)}
