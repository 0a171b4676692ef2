-- Lets due tasks wait for a worker, and those whose worker is dead. ARGV: 3 now in UTC ms, 4 lease in ms, 5 most of each.
-- Returns the number of due ones and of those taken from the dead.
takes_away_first()
local now, lease, ready = now_ms(), tonumber(ARGV[4]), 0
-- Nobody ticked for as long as a lease: Redis was away, or all workers were. The living get time to come forward first.
local ticked = tonumber(redis.call('GET', KEYS[9]))
if ticked and now - ticked > lease then redis.call('SET', KEYS[10], '1', 'PX', math.ceil(lease / 2)) end
redis.call('SET', KEYS[9], now)

local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[3], 'LIMIT', 0, ARGV[5])
for _, task in ipairs(due) do
    redis.call('ZREM', KEYS[3], task)
    local entry = entry_of(task)
    if entry then
        wait(task, entry)
        ready = ready + 1
    end
end

local dead = {}
if redis.call('EXISTS', KEYS[10]) == 0 then
    dead = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, ARGV[5])
    for _, task in ipairs(dead) do
        local entry = entry_of(task)
        if entry then
            release(task, entry)
            wait(task, entry)
            ready = ready + 1
        else
            redis.call('HDEL', KEYS[5], task)
            redis.call('ZREM', KEYS[4], task)
        end
    end
end
wake(ready)
return { #due, #dead }
