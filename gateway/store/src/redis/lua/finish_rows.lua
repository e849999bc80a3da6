-- ARGV     for each row its id and its lease's id
-- Answer   how many rows were removed
local finished = 0
for index = 2, #ARGV, 2 do
    if redis.call('HGET', LEASE, ARGV[index]) == ARGV[index + 1] then
        forget_row(ARGV[index])
        finished = finished + 1
    end
end
if finished == 0 then
    return 0
end
return done(finished)
