-- Shared head of the queue's scripts.
-- KEYS: 1 tasks, 2 owners, 3 delayed, 4 leases, 5 holders, 6 running, 7 turn, 8 paused, 9 ticked, 10 grace.
-- ARGV: 1 prefix of the owners' waiting sets, 2 wake channel.
-- An entry of `tasks` is 'rank|weight|most|trace|owner'; the owner goes last, because only it may hold any character.
local function read_entry(entry)
    if not entry then return nil end
    local rank, weight, most, trace, owner = string.match(entry, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
    return { rank = rank, weight = tonumber(weight), most = tonumber(most), owner = owner, text = entry }
end

local function entry_of(task) return read_entry(redis.call('HGET', KEYS[1], task)) end

local function waiting(owner) return ARGV[1] .. owner end

-- Lets an owner take part who has something waiting and a place to run it. A newcomer starts at the current turn: the time
-- that he asked for nothing gives him no credit, and nobody has to wait for him.
local function join(owner, most)
    if redis.call('ZSCORE', KEYS[2], owner) then return 0 end
    if (tonumber(redis.call('HGET', KEYS[6], owner)) or 0) >= most then return 0 end
    if redis.call('EXISTS', waiting(owner)) == 0 then return 0 end
    return redis.call('ZADD', KEYS[2], redis.call('GET', KEYS[7]) or '0', owner)
end

local function leave_if_empty(owner)
    if redis.call('EXISTS', waiting(owner)) == 0 then redis.call('ZREM', KEYS[2], owner) end
end

local function wait(task, entry)
    redis.call('ZADD', waiting(entry.owner), entry.rank, task)
    return join(entry.owner, entry.most)
end

local function hold(task, entry, token, now, lease)
    redis.call('HSET', KEYS[5], task, token)
    redis.call('ZADD', KEYS[4], now + lease, task)
    return redis.call('HINCRBY', KEYS[6], entry.owner, 1)
end

local function free(owner, places)
    if redis.call('HINCRBY', KEYS[6], owner, -places) <= 0 then redis.call('HDEL', KEYS[6], owner) end
end

-- Takes a task out of its worker's hands.
local function release(task, entry)
    redis.call('HDEL', KEYS[5], task)
    redis.call('ZREM', KEYS[4], task)
    free(entry.owner, 1)
end

-- Redis's own clock: leases are compared with nothing else, so the clocks of workers may be wrong.
local function now_ms()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A Redis without memory refuses a script whose first write may add something, and lets it go on after one that only takes
-- away: what the queue holds is to go on.
local function takes_away_first() redis.call('ZREM', KEYS[4], '') end

local function wake(ready)
    if ready > 0 then redis.call('PUBLISH', ARGV[2], ready) end
end
