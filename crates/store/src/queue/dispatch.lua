-- Shared head of the queue's scripts.
-- KEYS: 1 pending, 2 delayed, 3 tickets, 4 serial, 5 apalis active list, 6 apalis data hash, 7 apalis meta prefix.
-- ARGV: 1 wake channel, 2 deliveries that may stand in the active list.
-- `payloads` (a field `p:{task}` of the tickets hash) holds what is delivered.
local function dispatch()
    local room = tonumber(ARGV[2]) - redis.call('LLEN', KEYS[5])
    local sent = 0
    while room > 0 do
        local popped = redis.call('ZPOPMIN', KEYS[1])
        if #popped == 0 then break end
        local task = popped[1]
        local payload = redis.call('HGET', KEYS[3], 'p:' .. task)
        -- Cancelled while it waited: nothing left to deliver.
        if payload then
            local delivery = task .. '.' .. redis.call('INCR', KEYS[4])
            redis.call('HSET', KEYS[3], task, delivery)
            redis.call('HSET', KEYS[6], delivery, payload)
            redis.call('HSET', KEYS[7] .. ':' .. delivery, 'attempts', '0', 'max_attempts', '1', 'status', 'Pending')
            redis.call('RPUSH', KEYS[5], delivery)
            sent = sent + 1
            room = room - 1
        end
    end
    if sent > 0 then redis.call('PUBLISH', ARGV[1], sent) end
    return sent
end
