-- Puts tasks into the queue that are not in it. ARGV from 3 on, three a task: id, entry, due in UTC ms (0: now).
local put, ready = 0, 0
for i = 3, #ARGV, 3 do
    local task, due = ARGV[i], tonumber(ARGV[i + 2])
    local is_new = redis.call('HSETNX', KEYS[1], task, ARGV[i + 1]) == 1
    local entry = entry_of(task)
    -- One that is listed but stands nowhere is put in as well.
    if is_new or not (redis.call('HEXISTS', KEYS[5], task) == 1 or redis.call('ZSCORE', KEYS[3], task)
        or redis.call('ZSCORE', waiting(entry.owner), task)) then
        if due > 0 then
            redis.call('ZADD', KEYS[3], due, task)
        else
            ready = ready + 1
            wait(task, entry)
        end
        put = put + 1
    end
end
wake(ready)
return put
