-- Takes tasks out of the queue, or lets them wait for their next attempt.
-- ARGV from 3 on, three a task: id, token of who holds it ('': whoever), due in UTC ms of the next attempt (0: none).
-- Returns 1 for each that was settled, 0 for each that somebody else holds by now.
local settled, ready = {}, 0
for i = 3, #ARGV, 3 do
    local task, token, due = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    local entry = entry_of(task)
    local holder = redis.call('HGET', KEYS[5], task)
    local mine = 1
    if entry and token ~= '' and holder ~= token then mine = 0 end
    if entry and mine == 1 then
        if holder then
            release(task, entry)
        else
            redis.call('ZREM', KEYS[3], task)
            redis.call('ZREM', waiting(entry.owner), task)
            leave_if_empty(entry.owner)
        end
        if due > 0 then
            redis.call('ZADD', KEYS[3], due, task)
        else
            redis.call('HDEL', KEYS[1], task)
        end
        ready = ready + join(entry.owner, entry.most)
    end
    settled[#settled + 1] = mine
end
wake(ready)
return settled
