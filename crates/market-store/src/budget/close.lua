-- Closes the exchange. KEYS: 1 closure. ARGV: 1 ms. A longer closure stays.
if tonumber(ARGV[1]) > redis.call('PTTL', KEYS[1]) then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
return redis.status_reply('OK')
