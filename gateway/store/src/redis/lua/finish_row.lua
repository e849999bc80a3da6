-- ARGV     the row's id, the lease's id
-- Answer   1: removed, 0: the row has another lease or none
if redis.call('HGET', LEASE, ARGV[2]) ~= ARGV[3] then
    return 0
end
forget_row(ARGV[2])
return done(1)
