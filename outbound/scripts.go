package outbound

// The scripts of the queue in Redis. Each is one atomic step. Leases are
// measured by the clock of Redis, which all nodes share; due times by the
// caller's, which the ledger goes by as well.

// luaPut adds entries: ARGV is bell, then id, due and JSON of each.
const luaPut = `
local waiting, entries = KEYS[1], KEYS[2]
for i = 2, #ARGV, 3 do
  redis.call('ZADD', waiting, ARGV[i+1], ARGV[i])
  redis.call('HSET', entries, ARGV[i], ARGV[i+2])
end
redis.call('PUBLISH', ARGV[1], '1')
return (#ARGV - 1) / 3
`

// luaClock gives the clock of Redis in milliseconds.
const luaClock = `
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`

// luaTake pops a due entry: ARGV is now, the lease in milliseconds, the worker,
// and how many of the earliest compete by priority. What was leased for too long
// is put back first. An entry that is leased as well is passed over: its lease
// ends first.
const luaTake = luaClock + `
local waiting, entries, leases, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, clk = ARGV[1], clock()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', clk, 'LIMIT', 0, 100)) do
  redis.call('ZREM', leases, id)
  redis.call('HDEL', workers, id)
  if redis.call('HEXISTS', entries, id) == 1 then
    redis.call('ZADD', waiting, 'NX', now, id)
  end
end
local from, among = 0, tonumber(ARGV[4])
while true do
  local due = redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', from, among)
  if #due == 0 then return false end
  local texts = redis.call('HMGET', entries, unpack(due))
  local best, rank, text
  for i, id in ipairs(due) do
    local t = texts[i] or ''
    local p = tonumber(string.match(t, '"priority":(%d+)') or '0')
    if (not best or p > rank) and not redis.call('ZSCORE', leases, id) then
      best, rank, text = id, p, t
    end
  end
  if best then
    redis.call('ZREM', waiting, best)
    redis.call('ZADD', leases, clk + ARGV[2], best)
    redis.call('HSET', workers, best, ARGV[3])
    return {best, text}
  end
  if #due < among then return false end
  from = from + among
end
`

// luaExtend renews a lease: ARGV is id, worker, the lease in milliseconds.
const luaExtend = luaClock + `
local leases, workers = KEYS[1], KEYS[2]
local owner = redis.call('HGET', workers, ARGV[1])
if owner and owner ~= ARGV[2] then return 0 end
redis.call('ZADD', leases, clock() + ARGV[3], ARGV[1])
redis.call('HSET', workers, ARGV[1], ARGV[2])
return 1
`

// luaDone drops a lease: ARGV is id, worker, bell.
const luaDone = `
local waiting, entries, leases, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HGET', workers, ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZREM', leases, ARGV[1])
redis.call('HDEL', workers, ARGV[1])
if redis.call('ZSCORE', waiting, ARGV[1]) then
  redis.call('PUBLISH', ARGV[3], '1')
else
  redis.call('HDEL', entries, ARGV[1])
end
return 1
`

// luaRemove drops a waiting entry: ARGV is id.
const luaRemove = `
local waiting, entries, leases = KEYS[1], KEYS[2], KEYS[3]
redis.call('ZREM', waiting, ARGV[1])
if not redis.call('ZSCORE', leases, ARGV[1]) then redis.call('HDEL', entries, ARGV[1]) end
return 1
`

// luaNext tells in how many milliseconds an entry is due or a lease ends, or
// -1: ARGV is now.
const luaNext = luaClock + `
local waiting, leases = KEYS[1], KEYS[2]
local soonest = -1
local function take(span)
  if span < 0 then span = 0 end
  if soonest < 0 or span < soonest then soonest = span end
end
local from = 0
while true do
  local first = redis.call('ZRANGE', waiting, from, from + 19, 'WITHSCORES')
  local found = false
  for i = 1, #first, 2 do
    if not redis.call('ZSCORE', leases, first[i]) then
      take(first[i+1] - ARGV[1])
      found = true
      break
    end
  end
  if found or #first < 40 then break end
  from = from + 20
end
local lease = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')
if #lease > 0 then take(lease[2] - clock()) end
return soonest
`

// luaAllow is the generic cell rate algorithm with no burst: ARGV is the
// milliseconds from one message to the next.
const luaAllow = luaClock + `
local clk = clock()
local next_at = tonumber(redis.call('GET', KEYS[1]) or '0')
if next_at > clk then return next_at - clk end
redis.call('SET', KEYS[1], clk + ARGV[1], 'PX', ARGV[1] + 1000)
return 0
`
