-- Submission in UTC ms of the oldest task that is next in its owner's line; '' when none waits.
-- ARGV: 3 most owners that are looked at, 4 span of one priority within a rank. Owners who run as many tasks as they may
-- take no turns, but they have tasks that run.
local most, span, oldest = tonumber(ARGV[3]), tonumber(ARGV[4]), nil
local function look(owner)
    local first = redis.call('ZRANGE', waiting(owner), 0, 0, 'WITHSCORES')
    local submitted = first[2] and tonumber(first[2]) % span
    if submitted and (not oldest or submitted < oldest) then oldest = submitted end
end
for _, owner in ipairs(redis.call('ZRANGE', KEYS[2], 0, most - 1)) do look(owner) end
local running = redis.call('HSCAN', KEYS[6], 0, 'COUNT', most)[2]
for i = 1, #running, 2 do look(running[i]) end
return oldest and string.format('%.0f', oldest) or ''
