-- KEYS[6]    the session
-- KEYS[9..]  for each row the four keys of its outbox
-- ARGV       the expected revision, the record, whether a video is being judged (1 or 0), milliseconds for the upload (empty:
--            unchanged), milliseconds of the lease (0: none), the session's id, how many bytes the client may keep, and for each
--            row its id, its body, and the milliseconds until it is due
-- Answer     1 and the new revision: changed, 0: no session, 2: another revision; 3: the client has too many bytes, and
--            milliseconds until its first session ends
local session = KEYS[6]
local left = redis.call('PTTL', session)
if left < 0 then
    return {0, 0}
end
local in_progress, revision, upload_ends = unpack(redis.call('HMGET', session, 'replay', 'revision', 'upload_ends'))
revision = tonumber(revision or 0)
if revision ~= tonumber(ARGV[2]) then
    return {2, 0}
end
local growth = #ARGV[3] - redis.call('HSTRLEN', session, 'record')
if in_progress == '1' then
    -- What is in progress must end, so neither the client's bounds nor a full server keep it from that (see the prelude).
    redis.call('HDEL', session, 'record')
elseif growth > 0 then
    local _, _, bytes = kept()
    if bytes + growth > tonumber(ARGV[8]) then
        return {3, first_expiry()}
    end
end
local function ends(milliseconds)
    return tonumber(milliseconds) > 0 and now() + milliseconds or 0
end
if ARGV[5] ~= '' then
    upload_ends = ends(ARGV[5])
end
redis.call(
    'HSET', session, 'replay', ARGV[4], 'revision', revision + 1, 'record', ARGV[3], 'upload_ends', upload_ends or 0,
    'lease_ends', ends(ARGV[6]))
count_item(ARGV[7], now() + left, 0, growth)
for row = 0, (#ARGV - 8) / 3 - 1 do
    write_row_at(9 + row * 4, ARGV[9 + row * 3], ARGV[10 + row * 3], ARGV[11 + row * 3])
end
return done({1, revision + 1})
