// What a store does on a Redis server, as scripts that run there whole or not at all.
//
// Of each owner there are three keys. They have the owner in braces in common, so that a cluster
// keeps them together.
//   p2p:{OWNER}:holder   hash: "term", and "batch", the number of the last one of this term
//   p2p:{OWNER}:items    hash: the items
//   p2p:{OWNER}:order    sorted set of the items' keys, all with the same score: by bytes
#pragma once

namespace p2p {

// KEYS: holder. Answers the new term.
constexpr char kTakeTermScript[] = R"(
redis.call('HSET', KEYS[1], 'batch', '0')
return redis.call('HINCRBY', KEYS[1], 'term', 1)
)";

// KEYS: holder, items, order. ARGV: term, number of the batch, then three for each change: what,
// key, and the value or the end. A batch that is done already is confirmed again: its answer was
// lost.
constexpr char kCommitScript[] = R"(
local term = tonumber(redis.call('HGET', KEYS[1], 'term') or '0')
if term > tonumber(ARGV[1]) then return 'FENCED' end
local batch = tonumber(redis.call('HGET', KEYS[1], 'batch') or '0')
if term < tonumber(ARGV[1]) or batch + 1 < tonumber(ARGV[2]) then return 'MISSING' end
if batch >= tonumber(ARGV[2]) then return 'OK' end
for i = 3, #ARGV, 3 do
  local what, key, rest = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if what == 'put' then
    redis.call('HSET', KEYS[2], key, rest)
    redis.call('ZADD', KEYS[3], 0, key)
  elseif what == 'erase' then
    redis.call('HDEL', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
  else
    local keys = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. key, '(' .. rest)
    for _, one in ipairs(keys) do redis.call('HDEL', KEYS[2], one) end
    redis.call('ZREMRANGEBYLEX', KEYS[3], '[' .. key, '(' .. rest)
  end
end
redis.call('HSET', KEYS[1], 'batch', ARGV[2])
return 'OK'
)";

}  // namespace p2p
