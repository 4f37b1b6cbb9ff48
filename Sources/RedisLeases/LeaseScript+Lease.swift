internal import RedisDriver

extension LeaseScript {
  /// Arguments: the waiters.
  static let leave = RedisScript(
    prologue + #"""
      while ARGV[argument] do redis.call('ZREM', line, nextArgument()) end
      return redis.status_reply('OK')
      """#)

  /// Arguments: key, lease, ttl. Reply: 1 if the cache has the lease.
  static let renew = RedisScript(
    prologue + #"""
      local id, lease, ttl = nextArgument(), nextArgument(), tonumber(nextArgument())
      local entry = isCurrent and redis.call('HGET', keys, id)
      if not entry or select(2, parse(entry)) ~= lease then return 0 end
      redis.call('ZADD', live, math.min(now + ttl, latest), id)
      return 1
      """#)

  /// Arguments: key, lease. Reply: generation and number of the decision, or nothing if the cache does not have the lease.
  static let release = RedisScript(
    prologue + #"""
      local id, lease = nextArgument(), nextArgument()
      local entry = isCurrent and redis.call('HGET', keys, id)
      if not entry then return false end
      local epoch, known = parse(entry)
      if known ~= lease then return false end
      sequence = sequence + 1
      makeFree(id, epoch, lease, sequence)
      save()
      return {generation, sequence}
      """#)

  /// Reply: how many keys are free, how many leased, how many callers wait; nothing if the cache must be rebuilt.
  static let occupancy = RedisScript(
    prologue + #"""
      if not isCurrent then return false end
      return {redis.call('ZCARD', free), redis.call('ZCARD', live), redis.call('ZCARD', line)}
      """#)
}
