internal import RedisDriver

extension LeaseScript {
  /// Arguments: KeyKeeper, its waiter's number, lease, ttl, ticket (0 for none), limit of waiters, timeout of KeyKeepers,
  /// limit of expirations. Reply: a kind, the generation, an array of what belongs to the kind, and an array of three
  /// values for each lease that had expired.
  ///
  /// Who is first in line must ask for itself: a request that Redis found in its socket long after its caller had left would
  /// else hold up all others.
  ///
  /// Part of the cache may have been evicted: a key that is nowhere, or whose epoch is not known, means a rebuild.
  static let take = RedisScript(
    prologue + #"""
      if not isCurrent then return {0, 0, {}, {}} end
      local function lost()
        redis.call('HDEL', meta, 'run')
        return {0, 0, {}, {}}
      end
      local keyKeeper, number, lease = nextArgument(), nextArgument(), nextArgument()
      local ttl, oldTicket = tonumber(nextArgument()), tonumber(nextArgument())
      local maximumWaiters, timeout, maximumExpirations = tonumber(nextArgument()), tonumber(nextArgument()), nextArgument()
      local waiter = keyKeeper .. ':' .. number

      -- A clock that jumped back must not make leases longer.
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', live, '(' .. text(latest), '+inf')) do
        redis.call('ZADD', live, latest, id)
      end

      local expired = {}
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', live, '-inf', now, 'LIMIT', 0, maximumExpirations)) do
        local entry = redis.call('HGET', keys, id)
        if not entry then return lost() end
        local epoch, oldLease = parse(entry)
        sequence = sequence + 1
        makeFree(id, epoch, oldLease, sequence)
        expired[#expired + 1] = id
        expired[#expired + 1] = oldLease
        expired[#expired + 1] = sequence
      end
      local function reply(kind, ...) return {kind, generation, {...}, expired} end

      local head = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
      if #head > 0 then
        redis.call('ZADD', callers, now, keyKeeper)
        for _, caller in ipairs(redis.call('ZRANGEBYSCORE', callers, '(' .. text(now), '+inf')) do
          redis.call('ZADD', callers, now, caller)
        end
        local silent, isSilent = redis.call('ZRANGEBYSCORE', callers, '-inf', '(' .. text(now - timeout)), {}
        for _, caller in ipairs(silent) do
          isSilent[caller] = true
          redis.call('ZREM', callers, caller)
        end
        if #silent > 0 then
          for _, other in ipairs(redis.call('ZRANGE', line, 0, -1)) do
            if isSilent[string.match(other, '^(.*):%d+$')] then redis.call('ZREM', line, other) end
          end
          head = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
        end
        local asked = redis.call('HMGET', meta, 'head', 'headAsked')
        local age = asked[1] == head[1] and head[1] ~= waiter and now - tonumber(asked[2])
        if age and age > timeout then
          redis.call('ZREM', line, head[1])
          head = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
          age = false
        end
        if #head > 0 and (not age or age < 0) then
          redis.call('HSET', meta, 'head', head[1], 'headAsked', text(now))
        end
      end

      local picked = redis.call('HGET', picks, lease)
      if picked then
        local entry = redis.call('HGET', keys, picked)
        if not entry then return lost() end
        local epoch, _, decision, rank, ticket = parse(entry)
        if #expired > 0 then save() end
        return reply(
          1, picked, tonumber(epoch) - 1, tonumber(decision), tonumber(rank), tonumber(ticket))
      end

      local place = #head > 0 and redis.call('ZSCORE', line, waiter)
      local ticket = tickets + 1
      if place then
        ticket = tonumber(place)
      elseif oldTicket >= 1 and oldTicket <= math.max(tickets, 1) then
        ticket = oldTicket
      end
      if #head == 0 or ticket <= tonumber(head[2]) then
        local nextFree = redis.call('ZPOPMIN', free)
        if #nextFree > 0 then
          local id, rank = nextFree[1], tonumber(nextFree[2])
          local entry = redis.call('HGET', keys, id)
          if not entry then return lost() end
          if place then redis.call('ZREM', line, waiter) end
          local epoch = tonumber(entry)
          sequence = sequence + 1
          tickets = math.max(tickets, ticket)
          -- The epoch that the grant will mint.
          redis.call('HSET', keys, id,
            text(epoch + 1) .. ' ' .. lease .. ' ' .. text(sequence) .. ' ' .. text(rank) .. ' ' .. text(ticket))
          redis.call('HSET', picks, lease, id)
          redis.call('ZADD', live, math.min(now + ttl, latest), id)
          save()
          return reply(1, id, epoch, sequence, rank, ticket)
        end
        if redis.call('ZCARD', live) ~= redis.call('HLEN', keys) then return lost() end
      end
      if not place then
        if redis.call('ZCARD', line) >= maximumWaiters then
          if #expired > 0 then save() end
          return reply(3, maximumWaiters)
        end
        tickets = math.max(tickets, ticket)
        redis.call('ZADD', line, ticket, waiter)
        redis.call('ZADD', callers, now, keyKeeper)
      end
      if #expired > 0 or not place then save() end
      local nextEnd = redis.call('ZRANGE', live, 0, 0, 'WITHSCORES')
      return reply(
        2, redis.call('ZRANK', line, waiter), ticket,
        #nextEnd > 0 and math.max(tonumber(nextEnd[2]) - now, 0) or -1)
      """#)
}
