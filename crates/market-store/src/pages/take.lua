-- Takes a page. ARGV: 1 task, 2 attempt, 3 lease in ms. Returns 0: another task fetches it; 1: taken; 2: taken, and it was
-- fetched a moment ago. An earlier attempt of the same task has nothing to say any more.
local holder = redis.call('GET', KEYS[1])
local mine = ARGV[1] .. ':' .. ARGV[2]
if holder and holder ~= 'done' and holder ~= mine then
    local attempt = string.match(holder, '^' .. ARGV[1] .. ':(%d+)$')
    if not attempt or tonumber(attempt) > tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], mine, 'PX', ARGV[3])
return holder == 'done' and 2 or 1
