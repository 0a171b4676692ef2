-- Hands out tasks, the owner with the earliest turn first, his tasks by rank. ARGV: 3 most tasks, 4 lease in ms, 5 name of this claim.
-- Returns three a task: id, entry, token.
if string.sub(redis.call('GET', KEYS[8]) or '', -1) == '1' then return {} end
local most, due = tonumber(ARGV[3]), string.format('%.0f', now_ms() + tonumber(ARGV[4]))
local out, holders, leases, turn = {}, {}, {}, nil

-- Of those who take part, whose turn is earliest; the first of several.
local function earliest(line)
    local first
    for i = 1, #line do
        if not first or line[i].turn < line[first].turn then first = i end
    end
    return first, line[first]
end

-- Gives `one` his next task. False: he has none left, or runs as many as he may.
local function serve(one)
    local task = redis.call('ZPOPMIN', waiting(one.owner))[1]
    if not task then return false end
    local entry = entry_of(task)
    if not entry then return true end
    local token = ARGV[5] .. ':' .. #out / 3
    holders[#holders + 1], holders[#holders + 2] = task, token
    leases[#leases + 1], leases[#leases + 2] = due, task
    out[#out + 1], out[#out + 2], out[#out + 3] = task, entry.text, token
    one.taken, turn = one.taken + 1, one.turn
    -- Of weight 2 comes twice as often as of weight 1.
    one.turn = one.turn + 1 / entry.weight
    return one.running + one.taken < entry.most
end

while #out < most * 3 do
    local first = redis.call('ZRANGE', KEYS[2], 0, most - 1, 'WITHSCORES')
    if #first == 0 then break end
    local owners, line, all = {}, {}, {}
    for i = 1, #first, 2 do owners[#owners + 1] = first[i] end
    local running = redis.call('HMGET', KEYS[6], unpack(owners))
    for i, owner in ipairs(owners) do
        line[i] = { owner = owner, turn = tonumber(first[2 * i]), running = tonumber(running[i]) or 0, taken = 0 }
        all[i] = line[i]
    end
    -- Others may follow: whose turn is later than that of the last one here has to be compared with them.
    local last = #line == most and line[#line].turn or math.huge
    while #out < most * 3 and #line > 0 do
        local place, one = earliest(line)
        if one.turn > last then break end
        if not serve(one) then
            one.rests = true
            table.remove(line, place)
        end
    end
    for _, one in ipairs(all) do
        if one.taken > 0 then redis.call('HINCRBY', KEYS[6], one.owner, one.taken) end
        if one.rests or redis.call('EXISTS', waiting(one.owner)) == 0 then
            redis.call('ZREM', KEYS[2], one.owner)
        elseif one.taken > 0 then
            redis.call('ZADD', KEYS[2], one.turn, one.owner)
        end
    end
end
if turn then
    redis.call('HSET', KEYS[5], unpack(holders))
    redis.call('ZADD', KEYS[4], unpack(leases))
    redis.call('SET', KEYS[7], string.format('%.17g', turn))
end
return out
