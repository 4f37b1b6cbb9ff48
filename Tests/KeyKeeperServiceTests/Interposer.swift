import Domain
import Storage
import Synchronization

/// Where a test may look, wait, cancel or fail: before and after each step that KeyKeepers make in the store and the cache.
final class Interposer: Sendable {
  enum Moment: Sendable {
    /// A failure means that nothing was done.
    case before
    /// A failure means that the answer was lost.
    case after
  }

  typealias Hook = @Sendable (_ step: String, _ moment: Moment) async throws(StorageError) -> Void

  private let hook = Mutex<Hook?>(nil)

  /// From now on, `hook` is called at every step.
  func set(_ hook: Hook?) { self.hook.withLock { $0 = hook } }

  func step<Value>(
    _ name: String, _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if let hook = hook.withLock({ $0 }) { try await hook(name, .before) }
    let value = try await body()
    if let hook = hook.withLock({ $0 }) { try await hook(name, .after) }
    return value
  }
}

struct InterposedStore: KeyStore {
  let base: MemoryDatabase
  let interposer: Interposer

  func reserveKeyIDs(_ count: Int) async throws(StorageError) -> [KeyID] {
    try await interposer.step("reserveKeyIDs") { () async throws(StorageError) in try await base.reserveKeyIDs(count) }
  }
  func insert(_ keys: [NewKey]) async throws(StorageError) -> [Key] {
    try await interposer.step("insert") { () async throws(StorageError) in try await base.insert(keys) }
  }
  func key(_ id: KeyID) async throws(StorageError) -> Key? {
    try await interposer.step("key") { () async throws(StorageError) in try await base.key(id) }
  }
  func keys(algorithm: SignatureAlgorithm?, after: KeyID?, limit: Int) async throws(StorageError) -> [Key] {
    try await interposer.step("keys") { () async throws(StorageError) in
      try await base.keys(algorithm: algorithm, after: after, limit: limit)
    }
  }
  func activeKeyCount(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> Int {
    try await interposer.step("activeKeyCount") { () async throws(StorageError) in
      try await base.activeKeyCount(algorithm)
    }
  }
  func wrappedPrivateKey(_ id: KeyID) async throws(StorageError) -> [UInt8] {
    try await interposer.step("wrappedPrivateKey") { () async throws(StorageError) in
      try await base.wrappedPrivateKey(id)
    }
  }
  func setState(_ id: KeyID, to state: KeyState) async throws(StorageError) -> Key {
    try await interposer.step("setState") { () async throws(StorageError) in try await base.setState(id, to: state) }
  }
  func grant(_ requests: [GrantRequest]) async throws(StorageError) -> [GrantOutcome] {
    try await interposer.step("grant") { () async throws(StorageError) in try await base.grant(requests) }
  }
  func renew(_ id: KeyID, lease: LeaseID, ttl: Duration) async throws(StorageError) -> Bool {
    try await interposer.step("renew") { () async throws(StorageError) in
      try await base.renew(id, lease: lease, ttl: ttl)
    }
  }
  func endLeases(_ leases: [LeaseName]) async throws(StorageError) -> [Bool] {
    try await interposer.step("endLeases") { () async throws(StorageError) in try await base.endLeases(leases) }
  }
  func recordReleases(_ releases: [LeaseRelease]) async throws(StorageError) {
    try await interposer.step("recordReleases") { () async throws(StorageError) in
      try await base.recordReleases(releases)
    }
  }
  func beginGeneration(
    _ algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> (generation: Int64, keys: [LeasedKeyState]) {
    try await interposer.step("beginGeneration") { () async throws(StorageError) in
      try await base.beginGeneration(algorithm)
    }
  }
  func joinGeneration(_ ids: [KeyID], decision: DecisionNumber) async throws(StorageError) {
    try await interposer.step("joinGeneration") { () async throws(StorageError) in
      try await base.joinGeneration(ids, decision: decision)
    }
  }
  func leaseStates(_ ids: [KeyID]) async throws(StorageError) -> [LeasedKeyState] {
    try await interposer.step("leaseStates") { () async throws(StorageError) in try await base.leaseStates(ids) }
  }
}

struct InterposedCache: LeaseCache {
  let base: MemoryLeaseCache
  let interposer: Interposer

  func take(_ requests: [TakeRequest]) async throws(StorageError) -> [TakeOutcome] {
    try await interposer.step("take") { () async throws(StorageError) in try await base.take(requests) }
  }
  func leave(_ waiters: [WaiterID], algorithm: SignatureAlgorithm) async throws(StorageError) {
    try await interposer.step("leave") { () async throws(StorageError) in
      try await base.leave(waiters, algorithm: algorithm)
    }
  }
  func renew(
    _ lease: LeaseName, algorithm: SignatureAlgorithm, ttl: Duration
  ) async throws(StorageError) -> Bool {
    try await interposer.step("cache.renew") { () async throws(StorageError) in
      try await base.renew(lease, algorithm: algorithm, ttl: ttl)
    }
  }
  func release(
    _ leases: [LeaseName], algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> [DecisionNumber?] {
    try await interposer.step("release") { () async throws(StorageError) in
      try await base.release(leases, algorithm: algorithm)
    }
  }
  func install(
    generation: Int64, algorithm: SignatureAlgorithm, keys: [LeasedKeyState], unreleasedTTL: Duration
  ) async throws(StorageError) -> Bool {
    try await interposer.step("install") { () async throws(StorageError) in
      try await base.install(generation: generation, algorithm: algorithm, keys: keys, unreleasedTTL: unreleasedTTL)
    }
  }
  func update(_ updates: [KeyUpdate], algorithm: SignatureAlgorithm) async throws(StorageError) -> UpdateOutcome {
    try await interposer.step("update") { () async throws(StorageError) in
      try await base.update(updates, algorithm: algorithm)
    }
  }
  func occupancy(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> LeaseOccupancy? {
    try await interposer.step("occupancy") { () async throws(StorageError) in try await base.occupancy(algorithm) }
  }
}
