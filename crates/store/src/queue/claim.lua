-- Hands out tasks, the owner with the earliest turn first, his tasks by rank. ARGV: 3 most tasks, 4 lease in ms, 5 name of this claim.
-- Returns three a task: id, entry, token.
if string.sub(redis.call('GET', KEYS[8]) or '', -1) == '1' then return {} end
local most, lease, now = tonumber(ARGV[3]), tonumber(ARGV[4]), now_ms()
local out, turn = {}, nil
while #out < most * 3 do
    local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if #first == 0 then break end
    local owner = first[1]
    local popped = redis.call('ZPOPMIN', waiting(owner))
    local entry = popped[1] and entry_of(popped[1])
    if entry then
        turn = tonumber(first[2])
        local task = popped[1]
        local token = ARGV[5] .. ':' .. #out / 3
        local running = hold(task, entry, token, now, lease)
        out[#out + 1] = task
        out[#out + 1] = entry.text
        out[#out + 1] = token
        if running >= entry.most then
            redis.call('ZREM', KEYS[2], owner)
        else
            -- Of weight 2 comes twice as often as of weight 1.
            redis.call('ZADD', KEYS[2], turn + 1 / entry.weight, owner)
        end
    end
    if redis.call('EXISTS', waiting(owner)) == 0 then redis.call('ZREM', KEYS[2], owner) end
end
if turn then redis.call('SET', KEYS[7], string.format('%.17g', turn)) end
return out
