import Domain

extension MemoryDatabase {
  /// See `EventStore`.
  public func append(_ events: [StoredEvent]) async throws(StorageError) {
    try await step { state, now throws(StorageError) in
      for event in events {
        state.lastEventID += 1
        state.events.append(
          PlacedEvent(event: event, position: EventPosition(storedAt: now.time, id: state.lastEventID)))
      }
      let surplus = state.events.count - Self.maximumEvents
      // Seldom, because removing at the front moves all the others.
      if surplus > Self.maximumEvents / 10 { state.events.removeFirst(surplus) }
    }
  }

  /// See `EventStore`.
  public func events(
    _ filter: EventFilter, order: EventOrder, after position: EventPosition?, limit: Int
  ) async throws(StorageError) -> [PlacedEvent] {
    try await look { state, _ throws(StorageError) in
      let stored = filter.storedTimes
      let passing = state.events.lazy.filter { placed in
        stored.contains(placed.position.storedAt) && filter.includes(placed.event)
      }
      switch order {
      case .oldestFirst:
        return Array(passing.filter { position == nil || $0.position > position! }.prefix(limit))
      case .newestFirst:
        return Array(passing.reversed().filter { position == nil || $0.position < position! }.prefix(limit))
      }
    }
  }

  /// See `EventStore`.
  public func retainEvents(days: Int) async throws(StorageError) -> Int {
    precondition(days >= 1, "at least one day of events is kept, not \(days)")
    return try await step { state, now throws(StorageError) in
      let first = Self.day(of: now.time) - Int64(days) + 1
      let dropped = Set(state.events.map { Self.day(of: $0.position.storedAt) }).filter { $0 < first }
      state.events.removeAll { Self.day(of: $0.position.storedAt) < first }
      return dropped.count
    }
  }

  /// Days since the epoch.
  private static func day(of time: Timestamp) -> Int64 { time.rawValue / 86_400_000_000 }
}
