internal import RedisDriver

extension LeaseScript {
  /// Arguments: generation, shortest remaining time, then for each key: id, epoch, lease (empty for none), remaining time.
  /// Reply: 1 if it was done.
  static let install = RedisScript(
    prologue + #"""
      local newGeneration, unreleased = tonumber(nextArgument()), tonumber(nextArgument())
      if isCurrent and generation >= newGeneration then return 0 end
      redis.call('DEL', free, live, keys, picks)
      local count = 0
      while ARGV[argument] do
        local id, epoch, lease, remaining = nextArgument(), nextArgument(), nextArgument(), tonumber(nextArgument())
        count = count + 1
        takeUp(id, epoch, lease, math.max(remaining, unreleased), epoch == '0' and 0 or count)
      end
      sequence = count
      redis.call('HSET', meta, 'run', run, 'generation', text(newGeneration))
      save()
      return 1
      """#)

  /// Arguments for each key: id, 1 if it is active, epoch, generation, lease (empty for none), remaining time, dead
  /// lease (empty for none). Reply: generation and number of the decision, then the keys that were taken up, without
  /// which the decision was not made; nothing if the cache must be rebuilt.
  static let update = RedisScript(
    prologue + #"""
      if not isCurrent then return false end
      local states = {}
      while ARGV[argument] do
        local state = {
          id = nextArgument(), isActive = nextArgument() == '1', epoch = nextArgument(),
          generation = tonumber(nextArgument()), lease = nextArgument(), remaining = tonumber(nextArgument()),
          deadLease = nextArgument()}
        if state.generation > generation then return false end
        states[#states + 1] = state
      end
        local reply = {generation, sequence + 1}
      for _, state in ipairs(states) do
        local entry = redis.call('HGET', keys, state.id)
        local isNews = true
        local lease = ''
        if entry then
          local epoch
          epoch, lease = parse(entry)
          epoch = tonumber(epoch)
          if state.isActive and (lease == '' or lease ~= state.deadLease) then
            if tonumber(state.epoch) == epoch then
              isNews = state.generation < generation and lease == ''
            else
              isNews = tonumber(state.epoch) > epoch
            end
          end
        end
        if isNews then
          redis.call('HDEL', keys, state.id)
          redis.call('ZREM', free, state.id)
          redis.call('ZREM', live, state.id)
          if lease ~= '' then redis.call('HDEL', picks, lease) end
          if state.isActive then
            if state.remaining <= 0 then state.lease = '' end
            takeUp(state.id, state.epoch, state.lease, state.remaining, state.epoch == '0' and 0 or sequence + 1)
            reply[#reply + 1] = state.id
          end
        end
      end
      -- A number without a key behind it would look like a decision that was lost.
      if #reply > 2 then
        sequence = sequence + 1
        save()
      end
      return reply
      """#)
}
