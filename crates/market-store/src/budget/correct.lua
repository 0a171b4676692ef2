-- Raises a minute's count to what the exchange reported. KEYS: 1 the minute. ARGV: 1 used.
if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '0') then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', 180000)
end
return redis.status_reply('OK')
