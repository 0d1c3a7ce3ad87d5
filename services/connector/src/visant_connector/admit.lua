-- Admits one command: append to the stream first, then remember the trigger. Redis runs it as one step, and writes
-- it to the append-only file as one transaction.
-- KEYS: stream, sorted set of remembered triggers, hash trigger -> entry id, hash entry id -> deadline
-- ARGV: entry JSON, trigger key or "", deadline JSON, "1" where the cloud named the deadline,
--       entry field, consumer group, triggers to remember
-- Returns {word, entry id}: admitted | renewed | duplicate | unremembered (admitted, but a replay will come again)
local stream, admitted, entries, deadlines = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entry, trigger, deadline, named, field, group = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local kept = tonumber(ARGV[7])
local STEPS = 4 -- memory shrinks by up to three triggers an admission; a bound keeps one admission short

-- A key of a wrong type would refuse every command for ever: it is set aside for whoever wants to look at it.
local function damaged(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == 'none' or found == kind then return false end
  redis.call('RENAME', key, key .. ':damaged')
  return true
end
damaged(stream, 'stream')
damaged(deadlines, 'hash')
-- The set and the hash hold the same triggers: what one has lost the other still knows.
if damaged(admitted, 'zset') then
  for place, known in ipairs(redis.pcall('HKEYS', entries)) do redis.call('ZADD', admitted, place, known) end
end
if damaged(entries, 'hash') then
  for _, known in ipairs(redis.call('ZRANGE', admitted, 0, -1)) do redis.call('HSET', entries, known, '') end
end

-- A stream that is gone (drained ones stay) took commands with it that had no outcome yet: their replay must enter.
local lost = redis.call('EXISTS', stream) == 0

local function queued(id)
  local found = redis.pcall('XRANGE', stream, id, id)
  return not found.err and found[1] or nil
end

local function boot_of(text)
  local readable, value = pcall(cjson.decode, text)
  if not readable or type(value) ~= 'table' then return nil end
  local inner = value.deadline or value
  return type(inner) == 'table' and inner.boot_id or nil
end

if trigger ~= '' and not lost then
  local id = redis.call('HGET', entries, trigger)
  local found = id and queued(id)
  if found then
    -- A lifetime that merely began with the arrival must not grow with each replay; after a reboot it starts anew.
    local present = redis.call('HGET', deadlines, id) or found[2][2]
    if named == '1' or boot_of(present) ~= boot_of(deadline) then
      redis.call('HSET', deadlines, id, deadline)
      return {'renewed', id}
    end
  end
  if id then return {'duplicate', id} end
end

local id = redis.call('XADD', stream, '*', field, entry)
if lost then
  redis.pcall('XGROUP', 'CREATE', stream, group, '0')
  redis.pcall('DEL', admitted, entries, deadlines)
end
if trigger == '' then return {'admitted', id} end

-- The command is in the stream: from here on an error must not make the caller append it again.
local newest = redis.pcall('ZREVRANGE', admitted, 0, 0, 'WITHSCORES')
local score = (not newest.err and tonumber(newest[2]) or 0) + 1
local remembered = redis.pcall('HSET', entries, trigger, id)
local ranked = redis.pcall('ZADD', admitted, score, trigger)
if type(remembered) == 'table' and remembered.err or type(ranked) == 'table' and ranked.err then
  return {'unremembered', id}
end

-- Bounded by count. What is still queued is never forgotten: it takes the newest place instead, and the bound
-- leaves room for it, so the last `kept` triggers that have left the queue are remembered as well.
local room = kept + redis.call('XLEN', stream)
for _ = 1, STEPS do
  if redis.call('ZCARD', admitted) <= room then break end
  local oldest = redis.call('ZRANGE', admitted, 0, 0)[1]
  local at = redis.call('HGET', entries, oldest)
  if at and queued(at) then
    score = score + 1
    redis.call('ZADD', admitted, score, oldest)
  else
    redis.call('ZREM', admitted, oldest)
    redis.call('HDEL', entries, oldest)
  end
end
return {'admitted', id}
