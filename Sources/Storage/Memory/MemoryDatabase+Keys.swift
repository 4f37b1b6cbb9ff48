public import Domain

extension MemoryDatabase {
  /// See `KeyStore`.
  public func reserveKeyIDs(_ count: Int) async throws(StorageError) -> [KeyID] {
    try await step { state, _ throws(StorageError) in
      let first = state.lastKeyID + 1
      state.lastKeyID += Int64(count)
      return (0..<count).map { KeyID(rawValue: first + Int64($0)) }
    }
  }

  /// See `KeyStore`.
  public func insert(_ keys: [NewKey]) async throws(StorageError) -> [Key] {
    try await step { state, now throws(StorageError) in
      var known: [[UInt8]: KeyID] = [:]
      for key in state.keys.values { known[key.publicKey] = key.id }
      for key in keys {
        if let taken = known[key.publicKey] { throw .keyConflict(key.id, with: taken) }
        guard state.keys[key.id] == nil else { throw .keyIDTaken(key.id) }
        known[key.publicKey] = key.id
      }
      for key in keys {
        state.keys[key.id] = MemoryKey(key, at: now.time)
        state.keyIDs.insert(key.id, at: state.keyIDs.lowerBound { $0 < key.id })
        state.lastKeyID = max(state.lastKeyID, key.id.rawValue)
      }
      return keys.compactMap { state.keys[$0.id]?.snapshot(at: now.instant) }
    }
  }

  /// See `KeyStore`.
  public func key(_ id: KeyID) async throws(StorageError) -> Key? {
    try await look { state, now throws(StorageError) in state.keys[id]?.snapshot(at: now.instant) }
  }

  /// See `KeyStore`.
  public func keys(
    algorithm: SignatureAlgorithm?, after: KeyID?, limit: Int
  ) async throws(StorageError) -> [Key] {
    try await look { state, now throws(StorageError) in
      let start = after.map { after in state.keyIDs.lowerBound { $0 <= after } } ?? 0
      var page: [Key] = []
      for id in state.keyIDs[start...] {
        guard page.count < limit else { break }
        guard let key = state.keys[id], algorithm == nil || key.algorithm == algorithm else { continue }
        page.append(key.snapshot(at: now.instant))
      }
      return page
    }
  }

  /// See `KeyStore`.
  public func activeKeyCount(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> Int {
    try await look { state, _ throws(StorageError) in
      state.keys.values.count { $0.state == .active && $0.algorithm == algorithm }
    }
  }

  /// See `KeyStore`.
  public func wrappedPrivateKey(_ id: KeyID) async throws(StorageError) -> [UInt8] {
    try await look { state, _ throws(StorageError) in
      guard let key = state.keys[id] else { throw .unknownKey(id) }
      return key.wrappedPrivateKey
    }
  }

  /// See `KeyStore`.
  public func setState(_ id: KeyID, to next: KeyState) async throws(StorageError) -> Key {
    try await step { state, now throws(StorageError) in
      guard var key = state.keys[id] else { throw .unknownKey(id) }
      if key.state != next {
        guard key.state.mayBecome(next) else { throw .keyState(id, key.state, next) }
        key.setState(next, at: now.tick)
        state.keys[id] = key
      }
      return key.snapshot(at: now.instant)
    }
  }
}

extension MemoryKey {
  fileprivate mutating func setState(_ next: KeyState, at tick: Int64) {
    state = next
    changes.append((tick, next))
    // Whatever comes back into use is taken up by the cache anew.
    generation = 0
    guard next == .disabled else { return }
    epoch += 1
    leaseID = nil
    leaseUntil = nil
    if let newest = leases.indices.last, leases[newest].ending == nil { leases[newest].ending = .superseded }
  }
}
