-- Shows messages as apalis sees them when it takes them, without their text: for each a sign that it has one, and its id
-- with its metadata.
-- KEYS: 1 data. ARGV: 1 what is put before the id of metadata, then ids.
local seen = {}
for index = 2, #ARGV do
    local fields = redis.call('HGETALL', ARGV[1] .. ARGV[index])
    table.insert(fields, 1, ARGV[index])
    local text = redis.call('HEXISTS', KEYS[1], ARGV[index]) == 1 and 'text'
    table.insert(seen, {text, fields})
end
return seen
