-- Prolongs leases. ARGV: 3 lease in ms, then three a task: id, token, entry. Returns the tokens of those that were lost to others.
takes_away_first()
local lease, now, lost = tonumber(ARGV[3]), now_ms(), {}
for i = 4, #ARGV, 3 do
    local task, token = ARGV[i], ARGV[i + 1]
    local holder = redis.call('HGET', KEYS[5], task)
    if holder == token then
        redis.call('ZADD', KEYS[4], now + lease, task)
    elseif holder then
        lost[#lost + 1] = token
    else
        -- Nobody holds it. It is taken back when Redis has forgotten it altogether, or when it waits for somebody else.
        local is_new = redis.call('HSETNX', KEYS[1], task, ARGV[i + 2]) == 1
        local entry = entry_of(task)
        if is_new or redis.call('ZREM', waiting(entry.owner), task) == 1 then
            if hold(task, entry, token, now, lease) >= entry.most then
                redis.call('ZREM', KEYS[2], entry.owner)
            else
                leave_if_empty(entry.owner)
            end
        else
            lost[#lost + 1] = token
        end
    end
end
return lost
