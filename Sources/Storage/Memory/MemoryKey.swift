package import Domain

/// A key with its leases.
package struct MemoryKey: Sendable {
  let id: KeyID
  let algorithm: SignatureAlgorithm
  let publicKey: [UInt8]
  let wrappedPrivateKey: [UInt8]
  let keyEncryptionKeyID: String
  let label: String
  let createdAt: Timestamp
  var state = KeyState.active
  var epoch: Int64 = 0
  /// Nil after the key was put out of use, and if it was never leased.
  var leaseID: LeaseID?
  /// Nil: released.
  var leaseUntil: ContinuousClock.Instant?
  /// 0: no cache may grant it.
  var generation: Int64 = 0
  /// By epoch.
  package var leases: [MemoryLease] = []
  /// The states that it has had since it was added, and from when on.
  var changes: [(tick: Int64, state: KeyState)] = []

  init(_ key: NewKey, at time: Timestamp) {
    id = key.id
    algorithm = key.algorithm
    publicKey = key.publicKey
    wrappedPrivateKey = key.wrappedPrivateKey
    keyEncryptionKeyID = key.keyEncryptionKeyID
    label = key.label
    createdAt = time
  }

  func isLive(at instant: ContinuousClock.Instant) -> Bool {
    leaseUntil.map { $0 >= instant } ?? false
  }

  func lease(_ id: LeaseID) -> MemoryLease? {
    leases.last { $0.id == id }
  }

  /// When the key was first put out of use after `tick`; nil if it was not.
  func outOfUse(after tick: Int64) -> Int64? {
    changes.first { $0.tick > tick && $0.state != .active }?.tick
  }

  func snapshot(at instant: ContinuousClock.Instant) -> Key {
    let holder = isLive(at: instant) ? leases.last.map { "\($0.holder)" } : nil
    return Key(
      id: id, algorithm: algorithm, state: state, publicKey: publicKey, label: label, epoch: Epoch(rawValue: epoch),
      holder: holder, createdAt: createdAt)
  }

  func leasedState(at instant: ContinuousClock.Instant) -> LeasedKeyState {
    LeasedKeyState(
      keyID: id, algorithm: algorithm, isActive: state == .active, epoch: Epoch(rawValue: epoch),
      generation: generation, leaseID: leaseUntil == nil ? nil : leaseID,
      remaining: leaseUntil.map { instant.duration(to: $0) } ?? .zero)
  }
}

/// A lease of a key, as the audit trail has it.
package struct MemoryLease: Sendable {
  enum Ending: Sendable { case superseded, released, expired }

  let id: LeaseID
  let epoch: Int64
  package var holder: SignerID
  let granted: DecisionNumber
  let rank: Int64
  let grantedTick: Int64
  var freed: DecisionNumber?
  var ending: Ending?
}
