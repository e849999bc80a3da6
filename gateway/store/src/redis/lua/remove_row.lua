-- ARGV     the row's id
-- Answer   1: removed, 0: no such row
if redis.call('HEXISTS', BODY, ARGV[2]) == 0 then
    return 0
end
forget_row(ARGV[2])
return done(1)
