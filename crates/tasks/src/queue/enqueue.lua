-- Puts tasks into the queue that are not in it. ARGV from 3 on, three a task: id, entry, due in UTC ms (0: now).
local put, ready, most = 0, 0, {}
for i = 3, #ARGV, 3 do
    local task, due, entry = ARGV[i], tonumber(ARGV[i + 2]), read_entry(ARGV[i + 1])
    local is_new = redis.call('HSETNX', KEYS[1], task, ARGV[i + 1]) == 1
    if not is_new then
        entry = entry_of(task)
        -- One that is listed but stands nowhere is put in as well.
        is_new = not (redis.call('HEXISTS', KEYS[5], task) == 1 or redis.call('ZSCORE', KEYS[3], task)
            or redis.call('ZSCORE', waiting(entry.owner), task))
    end
    if is_new then
        if due > 0 then
            redis.call('ZADD', KEYS[3], due, task)
        else
            ready = ready + 1
            redis.call('ZADD', waiting(entry.owner), entry.rank, task)
            most[entry.owner] = math.max(most[entry.owner] or 0, entry.most)
        end
        put = put + 1
    end
end
for owner, limit in pairs(most) do join(owner, limit) end
wake(ready)
return put
