import Domain
import RPC
import Schema
import Storage
import Synchronization
import Testing
import TimeAndChance

/// A call that is cancelled, or whose store or cache fails, at any step that is made for it, loses no key and nobody's place:
/// what it began is ended or undone at once, not when a lease expires.
@Suite struct InterruptionTests {
  /// What is interrupted. Each is prepared, and then made as one call.
  enum Call: CaseIterable {
    case acquire, acquireFromEmptyCache, acquireByWaiting, renew, release, generate, disable
  }

  /// Where the step waits for the caller to be gone, its key is free at once. Where it does not, the answer may cross with
  /// the cancellation: nobody knows of that lease, and it expires.
  @Test(arguments: Call.allCases, [true, false]) func cancelledAnywhere(call: Call, waits: Bool) throws {
    let steps = try count(call)
    #expect(steps >= 2)
    for step in 0..<steps {
      try KeeperRig.run { rig in
        let scene = try await Scene(rig)
        try await scene.prepare(call)
        let calling = rig.start { try await scene.make(call) }
        let seen = Mutex(0)
        rig.interposer.set { [scene] _, _ in
          guard
            seen.withLock({ seen in
              defer { seen += 1 }; return seen == step
            })
          else { return }
          calling.cancel()
          if waits { try? await scene.rig.pass() }
        }
        // It may have been too late.
        _ = try? await calling.value
        rig.interposer.set(nil)
        if !waits { try await rig.pass(.seconds(11)) }
        try await scene.checkNothingIsLost("\(call) cancelled at \(step)")
      }
    }
  }

  /// Before a step: it was not made; after it: its answer is lost. Either passes, and the call succeeds.
  @Test(arguments: Call.allCases) func failingAnywhere(call: Call) throws {
    for step in 0..<(try count(call)) {
      try KeeperRig.run { rig in
        let scene = try await Scene(rig)
        try await scene.prepare(call)
        let seen = Mutex(0)
        rig.interposer.set { _, moment throws(StorageError) in
          guard
            seen.withLock({ seen in
              defer { seen += 1 }; return seen == step
            })
          else { return }
          switch moment {
          case .before: throw StorageError(.unavailable, "the connection was refused")
          case .after: throw StorageError(.outcomeUnknown, "the connection was lost")
          }
        }
        try await scene.make(call)
        rig.interposer.set(nil)
        try await scene.checkNothingIsLost("\(call) failing at \(step)")
      }
    }
  }

  /// What does not pass is told to the caller, in the documented code, and costs nothing either.
  @Test(arguments: [Call.acquire, .acquireFromEmptyCache, .release, .renew, .disable])
  func unreachable(call: Call) throws {
    try KeeperRig.run { rig in
      let scene = try await Scene(rig)
      try await scene.prepare(call)
      rig.interposer.set { _, _ throws(StorageError) in throw StorageError(.unavailable, "the server is gone") }
      await expect(.unavailable, "the server is gone") { try await scene.make(call) }
      try await rig.pass(.seconds(1))
      rig.interposer.set(nil)
      try await rig.pass(.seconds(5))
      try await scene.checkNothingIsLost("\(call) without a server")
    }
  }

  /// How many times a call passes the interposer, before and after steps.
  private func count(_ call: Call) throws -> Int {
    try KeeperRig.run { rig in
      let scene = try await Scene(rig)
      try await scene.prepare(call)
      let steps = Trace<String>()
      rig.interposer.set { step, _ in steps.append(step) }
      try await scene.make(call)
      return steps.entries.count
    }
  }
}

/// Two keys, of which one is held throughout.
private final class Scene: Sendable {
  let rig: KeeperRig
  private let holder: Holder
  private let held: ChanceryV1.Lease
  private let lease = Mutex<ChanceryV1.Lease?>(nil)

  init(_ rig: KeeperRig) async throws {
    self.rig = rig
    holder = try Holder(1)
    try await rig.generate(2)
    held = try await rig.acquire(holder, ttl: .seconds(300))
  }

  func prepare(_ call: InterruptionTests.Call) async throws {
    switch call {
    case .acquire, .generate: break
    case .acquireFromEmptyCache: rig.cache.forget()
    case .acquireByWaiting, .renew, .release, .disable:
      let lease = try await rig.acquire(holder, ttl: .seconds(300))
      self.lease.withLock { $0 = lease }
    }
    // Whatever still runs of that has ended.
    try await rig.pass(.milliseconds(100))
  }

  func make(_ call: InterruptionTests.Call) async throws {
    let lease = lease.withLock { $0 }
    switch call {
    case .acquire, .acquireFromEmptyCache:
      let got = try await rig.acquire(try Holder(2), wait: .seconds(5))
      self.lease.withLock { $0 = got }
    case .acquireByWaiting:
      async let next = rig.acquire(try Holder(2), wait: .seconds(5))
      // Also if the call was cancelled: the holder knows nothing of it.
      try? await rig.pass()
      let release = rig.start { [rig] in try await rig.release(lease!) }
      let got = try await next
      try await release.value
      self.lease.withLock { $0 = got }
    case .renew: #expect(try await rig.renew(lease!, ttl: .seconds(200)) == 200_000)
    case .release: try await rig.release(lease!)
    case .generate: try await rig.generate(1)
    case .disable: _ = try await rig.keys.disable(.init(keyID: lease!.keyID))
    }
  }

  /// What the caller got, it gives back; then every active key but the one that is held can be had at once.
  func checkNothingIsLost(_ what: String) async throws {
    if let lease = lease.withLock({ $0 }) { try await rig.release(lease) }
    try await rig.pass(.milliseconds(500))
    let active = try await rig.database.activeKeyCount(.ed25519)
    if active > 1 {
      // Also has it noticed what has expired, or that the cache is empty.
      let lease = try await rig.acquire(holder, wait: .seconds(1))
      #expect(lease.waitedMs == 0, "\(what)")
      try await rig.release(lease)
    }
    let occupancy = try await rig.occupancy()
    #expect(occupancy == LeaseOccupancy(free: active - 1, leased: 1, waiting: 0), "\(what)")
    for _ in 0..<active - 1 {
      let lease = try await rig.acquire(holder, wait: .seconds(1))
      #expect(lease.keyID != held.keyID, "\(what)")
      #expect(lease.waitedMs == 0, "\(what)")
    }
    #expect(try await rig.renew(held) == 10_000, "\(what)")
    #expect(try await rig.leastRecentlyUsed().violations == 0, "\(what)")
  }
}
