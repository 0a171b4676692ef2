-- Prolongs the lease of a page. ARGV: 1 token, 2 lease in ms.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
