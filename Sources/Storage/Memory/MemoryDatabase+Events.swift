extension MemoryDatabase {
  /// See `EventStore`.
  public func append(_ events: [StoredEvent]) async throws(StorageError) {
    try await step { state, _ throws(StorageError) in
      state.events.append(contentsOf: events)
      let surplus = state.events.count - Self.maximumEvents
      // Seldom, because removing at the front moves all the others.
      if surplus > Self.maximumEvents / 10 { state.events.removeFirst(surplus) }
    }
  }

  /// See `EventStore`.
  public func newestEvents(limit: Int) async throws(StorageError) -> [StoredEvent] {
    try await look { state, _ throws(StorageError) in
      state.events.suffix(min(limit, Self.maximumEvents)).reversed()
    }
  }
}
