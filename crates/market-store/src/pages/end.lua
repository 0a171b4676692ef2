-- Gives a page back. ARGV: 1 token, 2 time in ms that the mark of a fetched page stays, 3 whether it was fetched (1 or 0).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 1 end
if ARGV[3] == '1' then
    redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2])
else
    redis.call('DEL', KEYS[1])
end
return 1
