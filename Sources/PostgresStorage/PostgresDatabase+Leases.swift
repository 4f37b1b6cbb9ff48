public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `KeyStore`.
  ///
  /// All in one transaction and one round trip. Keys are locked in the order of their ids.
  public func grant(_ requests: [GrantRequest]) async throws(StorageError) -> [GrantOutcome] {
    if requests.isEmpty { return [] }
    let order = requests.indices.sorted { (requests[$0].keyID, $0) < (requests[$1].keyID, $1) }
    let statements = order.map { LeaseStatements.grant(requests[$0]) }
    let epochs: [Epoch?] = try await retrying { deadline in
      let results = try await primary.withConnection(deadline: deadline) { connection in
        try await connection.atomicPipeline(statements, deadline: deadline)
      }
      var epochs: [Epoch?] = Array(repeating: nil, count: requests.count)
      for (index, result) in zip(order, results) where result.rowCount > 0 { epochs[index] = try result.epoch(0, 0) }
      return epochs
    }
    let refused = requests.indices.filter { epochs[$0] == nil }.map { requests[$0].keyID }
    var states: [KeyID: LeasedKeyState] = [:]
    if !refused.isEmpty {
      for state in try await leaseStates(refused) { states[state.keyID] = state }
    }
    return requests.indices.map { index in
      epochs[index].map { .granted($0) } ?? .stale(states[requests[index].keyID])
    }
  }

  /// See `KeyStore`.
  public func renew(_ id: KeyID, lease: LeaseID, ttl: Duration) async throws(StorageError) -> Bool {
    try await run(LeaseStatements.renew, [.id(id), .id(lease), .duration(ttl)]) > 0
  }

  /// See `KeyStore`.
  public func endLeases(_ leases: [LeaseName]) async throws(StorageError) -> [Bool] {
    if leases.isEmpty { return [] }
    let ended: Set<LeaseID> = try await query(
      LeaseStatements.end, [.ids(leases.map(\.keyID)), .ids(leases.map(\.leaseID))]
    ) { result in Set(try result.map { try result.uniqueID($0, 0) }) }
    return leases.map { ended.contains($0.leaseID) }
  }

  /// See `KeyStore`.
  public func recordReleases(_ releases: [LeaseRelease]) async throws(StorageError) {
    if releases.isEmpty { return }
    try await run(
      LeaseStatements.record,
      [
        .ids(releases.map(\.lease.keyID)), .ids(releases.map(\.lease.leaseID)),
        .int64Array(releases.map(\.decision.generation)), .int64Array(releases.map(\.decision.sequence)),
        .boolArray(releases.map(\.isExpiry)),
      ])
  }

  /// See `KeyStore`.
  public func leaseStates(_ ids: [KeyID]) async throws(StorageError) -> [LeasedKeyState] {
    if ids.isEmpty { return [] }
    let states = try await query(LeaseStatements.states, [.ids(ids)]) { result in try result.map(result.leasedState) }
    return ids.compactMap { id in states.first { $0.keyID == id } }
  }

  /// See `KeyStore`.
  public func beginGeneration(
    _ algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> (generation: Int64, keys: [LeasedKeyState]) {
    try await transaction { connection, deadline in
      // The row of the algorithm first: two rebuilders take turns. Then all its keys, in the order of their ids.
      let minted = try await connection.query(
        GenerationStatements.mint, [.algorithm(algorithm)], deadline: deadline)
      let generation = try minted.int64(0, 0)
      _ = try await connection.query(
        GenerationStatements.mark, [.algorithm(algorithm), .int64(generation)], deadline: deadline)
      let result = try await connection.query(
        GenerationStatements.order, [.algorithm(algorithm)], deadline: deadline)
      let keys = try result.map(result.leasedState)
      var trail = GenerationTrail(generation: generation, sequence: 0)
      trail.add(.begin, keyID: 0, rank: Int64(keys.count), leaseID: nil)
      for (place, key) in keys.enumerated() {
        trail.add(
          key.leaseID == nil ? .free : .held, keyID: key.keyID.rawValue, rank: key.installedRank(at: place),
          leaseID: key.leaseID)
      }
      _ = try await connection.query(GenerationStatements.note, trail.parameters, deadline: deadline)
      return (generation, keys)
    }
  }

  /// See `KeyStore`.
  public func joinGeneration(_ ids: [KeyID], decision: DecisionNumber) async throws(StorageError) {
    try await transaction { connection, deadline in
      var trail = GenerationTrail(generation: decision.generation, sequence: decision.sequence)
      let held = try await connection.query(
        GenerationStatements.hold, [.int64(decision.generation)], deadline: deadline)
      if held.rowCount > 0 {
        let result = try await connection.query(
          GenerationStatements.join, [.ids(ids), .int64(decision.generation), .int16(try held.int16(0, 0))],
          deadline: deadline)
        for key in try result.map(result.leasedState) {
          trail.add(
            key.isLive ? .held : .free, keyID: key.keyID.rawValue, rank: key.joinedRank(decision),
            leaseID: key.leaseID)
        }
      }
      trail.add(.noted, keyID: 0, rank: 0, leaseID: nil)
      _ = try await connection.query(GenerationStatements.note, trail.parameters, deadline: deadline)
    }
  }
}

/// Decisions of the cache to be written down, column by column.
private struct GenerationTrail {
  let generation: Int64
  let sequence: Int64
  private var keyIDs: [Int64] = []
  private var kinds: [Int32] = []
  private var ranks: [Int64] = []
  private var leaseIDs: [String?] = []

  init(generation: Int64, sequence: Int64) {
    self.generation = generation
    self.sequence = sequence
  }

  mutating func add(_ kind: LeaseReplay.Event.Kind, keyID: Int64, rank: Int64, leaseID: LeaseID?) {
    keyIDs.append(keyID)
    kinds.append(Int32(kind.rawValue))
    ranks.append(rank)
    leaseIDs.append(leaseID.map { "\($0)" })
  }

  var parameters: [PostgresValue] {
    [
      .int64(generation), .int64(sequence), .int64Array(keyIDs), .int32Array(kinds), .int64Array(ranks),
      .nullableTextArray(leaseIDs),
    ]
  }
}

extension PostgresResult {
  /// Reads `LeaseStatements.columns`.
  fileprivate func leasedState(_ row: Int) throws -> LeasedKeyState {
    LeasedKeyState(
      keyID: try serialID(row, 0), algorithm: try algorithm(row, 1), isActive: try bool(row, 2),
      epoch: try epoch(row, 3), generation: try int64(row, 4), leaseID: try optionalUniqueID(row, 5),
      remaining: .microseconds(try int64(row, 6)))
  }
}
