/// One step of the cache, as Redis runs it: atomically, and with all its keys named by the caller, so that it runs on a
/// cluster too.
///
/// | key | type | holds |
/// |---|---|---|
/// | `meta` | hash | `run`: the run id of the server that was filled; `generation`; `sequence` of decisions; `tickets`; the `head` of the line and when it was last heard of |
/// | `free` | sorted set | free keys by rank |
/// | `live` | sorted set | leased keys by the end of the lease, in microseconds |
/// | `keys` | hash | of each key its epoch, and while it is leased: lease, and decision, rank and ticket of the pick |
/// | `picks` | hash | the key of each lease that was picked, so that a repeated request finds it |
/// | `line` | sorted set | waiters by ticket |
/// | `callers` | sorted set | KeyKeepers by the time of their last call while there was a line |
///
/// Key ids are padded with zeroes to 19 digits: in a sorted set, equal scores are in the order of the text. Scores and
/// numbers stay below 2⁵³, so that Lua's doubles hold them exactly.
enum LeaseScript {
  /// The names of the keys, in the order in which every script takes them.
  static let keyNames = ["meta", "free", "live", "keys", "picks", "line", "callers"]

  /// Arguments that every script takes before its own: the run id of the server, which the client learned when it connected
  /// and which holds as long as the connection; the time in microseconds, empty for the server's own; the longest ttl.
  static let prologue = #"""
    local meta, free, live, keys, picks, line, callers =
      KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
    local argument = 4
    local function nextArgument()
      argument = argument + 1
      return ARGV[argument - 1]
    end
    local run, now = ARGV[1], tonumber(ARGV[2])
    if not now then
      local time = redis.call('TIME')
      now = time[1] * 1000000 + time[2]
    end
    local latest = now + tonumber(ARGV[3])
    local known = redis.call('HMGET', meta, 'run', 'generation', 'sequence', 'tickets')
    local isCurrent = known[1] == run
    local generation = tonumber(known[2] or 0)
    local sequence, tickets = tonumber(known[3] or 0), tonumber(known[4] or 0)
    local function text(number) return string.format('%.0f', number) end
    local function parse(entry) return string.match(entry, '^(%S+) ?(%S*) ?(%S*) ?(%S*) ?(%S*)$') end
    local function save() redis.call('HSET', meta, 'sequence', text(sequence), 'tickets', text(tickets)) end
    local function makeFree(id, epoch, lease, rank)
      redis.call('ZREM', live, id)
      redis.call('HDEL', picks, lease)
      redis.call('HSET', keys, id, epoch)
      redis.call('ZADD', free, rank, id)
    end
    local function takeUp(id, epoch, lease, remaining, rank)
      if lease == '' then
        redis.call('HSET', keys, id, epoch)
        redis.call('ZADD', free, rank, id)
      else
        redis.call('HSET', keys, id, epoch .. ' ' .. lease .. ' 0 0 0')
        redis.call('ZADD', live, math.min(now + remaining, latest), id)
      end
    end

    """#
}
