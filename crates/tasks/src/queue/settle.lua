-- Takes tasks out of the queue, or lets them wait for their next attempt; each task once a call.
-- ARGV from 3 on, three a task: id, token of who holds it ('': whoever), due in UTC ms of the next attempt (0: none).
-- Returns 1 for each that was settled, 0 for each that somebody else holds by now.
local tasks, settled = {}, {}
for i = 3, #ARGV, 3 do tasks[#tasks + 1] = ARGV[i] end
local entries, holders = redis.call('HMGET', KEYS[1], unpack(tasks)), redis.call('HMGET', KEYS[5], unpack(tasks))
local gone, later, released, freed, most = {}, {}, {}, {}, {}
for n, task in ipairs(tasks) do
    local token, due = ARGV[3 * n + 1], tonumber(ARGV[3 * n + 2])
    local entry, holder = read_entry(entries[n]), holders[n]
    local mine = not entry or token == '' or holder == token
    if entry and mine then
        local owner = entry.owner
        if holder then
            released[#released + 1] = task
            freed[owner] = (freed[owner] or 0) + 1
        else
            redis.call('ZREM', KEYS[3], task)
            redis.call('ZREM', waiting(owner), task)
            leave_if_empty(owner)
        end
        if due > 0 then
            later[#later + 1], later[#later + 2] = due, task
        else
            gone[#gone + 1] = task
        end
        most[owner] = math.max(most[owner] or 0, entry.most)
    end
    settled[n] = mine and 1 or 0
end
-- What takes away comes first: see takes_away_first.
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
if #released > 0 then
    redis.call('HDEL', KEYS[5], unpack(released))
    redis.call('ZREM', KEYS[4], unpack(released))
end
if #later > 0 then redis.call('ZADD', KEYS[3], unpack(later)) end
for owner, places in pairs(freed) do free(owner, places) end
local ready = 0
for owner, limit in pairs(most) do ready = ready + join(owner, limit) end
wake(ready)
return settled
