import Domain
import RPC
import Schema
import Signing
import Synchronization
import Telemetry
import TimeAndChance
import Translation

/// A leased key, decoded and ready to sign, and until when it may be used.
///
/// The key is wiped when the last reference goes. Whoever signs holds the lock, so the key is never used by two threads at
/// once.
final class KeyLease: Sendable {
  struct Validity {
    var deadline: LeaseDeadline
    /// When the lease is to be extended next.
    var renewAt: ContinuousClock.Instant
    /// Set when KeyKeeper has said that the lease is over.
    var isLost = false
  }

  let name: LeaseIdentity
  /// The trace of the batch that it was acquired for.
  let trace: TraceContext?
  let signer: Mutex<BatchSigner>
  let validity: Mutex<Validity>

  init(name: LeaseIdentity, trace: TraceContext?, signer: consuming sending BatchSigner, validity: Validity) {
    self.name = name
    self.trace = trace
    self.signer = Mutex(signer)
    self.validity = Mutex(validity)
  }

  /// Whether the key may be used for one more record.
  func isUsable(at now: ContinuousClock.Instant) -> Bool {
    validity.withLock { !$0.isLost && !$0.deadline.hasPassed(at: now) }
  }
}

/// Which lease of which key.
struct LeaseIdentity: Hashable {
  let keyID: KeyID
  let epoch: Epoch
  let leaseID: LeaseID

  /// What events about the lease say of it.
  var attributes: [String: String] {
    ["key": keyID.description, "epoch": epoch.description, "lease": leaseID.description]
  }
}

/// A lease to give back, in the trace of the work that it was for.
private struct Release {
  let lease: LeaseIdentity
  let trace: TraceContext?
}

/// Leases keys from KeyKeeper, extends the leases while they are used, and gives them back.
final class KeyLeases: Sendable {
  private let client: ChanceryV1.Leases.Client
  private let holder: SignerID
  private let recipient: LeaseRecipient
  private let clock: any ServiceClock
  private let timing: Timing
  private let observer: any Observer
  private let live = Mutex<[LeaseIdentity: KeyLease]>([:])
  /// Leases to give back; as many at most as batches are being signed.
  private let releases: AsyncStream<Release>
  private let released: AsyncStream<Release>.Continuation

  /// Throws `SigningError` when the system has no randomness to give.
  init(
    client: ChanceryV1.Leases.Client, holder: SignerID, clock: any ServiceClock, timing: Timing,
    observer: any Observer
  ) throws(SigningError) {
    self.client = client
    self.holder = holder
    self.clock = clock
    self.timing = timing
    self.observer = observer
    (releases, released) = AsyncStream.makeStream()
    recipient = try LeaseRecipient()
  }

  /// Leases the least recently used free key, to sign in a form; waits in line for one. Throws what KeyKeeper says, or
  /// `INTERNAL` when the key cannot be opened.
  func acquire(_ algorithm: SignatureAlgorithm, _ form: SignatureForm) async throws(RPCError) -> KeyLease {
    let request = ChanceryV1.AcquireLeaseRequest(
      algorithm: algorithm.message, holder: holder.description, recipientPublicKey: recipient.publicKey.bytes,
      ttlMs: UInt32(timing.leaseTTL.inMilliseconds))
    let sent = clock.now
    let options = CallOptions(timeout: timing.acquireWait + .seconds(5), waitForReady: true)
    let lease = try await client.acquire(request, options: options)
    let deadline = LeaseDeadline(
      sent: sent, waited: .milliseconds(Int(lease.waitedMs)), ttl: .milliseconds(Int(lease.ttlMs)),
      margin: timing.leaseMargin)
    guard let leaseID = LeaseID(bytes: lease.leaseID) else {
      throw RPCError(.internal, "KeyKeeper sent a lease id of \(lease.leaseID.count) bytes")
    }
    let name = LeaseIdentity(
      keyID: KeyID(rawValue: lease.keyID), epoch: Epoch(rawValue: lease.epoch), leaseID: leaseID)
    do {
      let pkcs8 = try recipient.open(lease.sealedPrivateKey.span, for: .lease(name.keyID, name.epoch))
      let signer = try BatchSigner(PrivateKey(trustedPKCS8: pkcs8), prefix: form.prefix(algorithm, name.keyID))
      let validity = KeyLease.Validity(deadline: deadline, renewAt: clock.now.advanced(by: timing.renewInterval))
      let held = KeyLease(name: name, trace: CallScope.current?.trace, signer: signer, validity: validity)
      change { $0[name] = held }
      return held
    } catch {
      release(name)
      throw RPCError(.internal, "key \(name.keyID) cannot be used: \(error)")
    }
  }

  /// Gives a lease back, soon and whatever becomes of the calling task. One that cannot be given back expires.
  func release(_ name: LeaseIdentity) {
    change { $0[name] = nil }
    released.yield(Release(lease: name, trace: CallScope.current?.trace))
  }

  /// Changes which leases are held, and tells how many there are before anyone changes that again.
  private func change(_ body: (inout [LeaseIdentity: KeyLease]) -> Void) {
    live.withLock { live in
      body(&live)
      observer.gauge("chancery_leases_held", to: Double(live.count))
    }
  }

  /// Extends the leases that are held and gives back those that are not needed any more, until `stop`.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.keepAlive() }
      await withDiscardingTaskGroup { calls in
        for await release in self.releases {
          calls.addTask {
            await CallScope.$current.withValue(.tracing(release.trace)) { await self.giveBack(release.lease) }
          }
        }
      }
      group.cancelAll()
    }
  }

  /// Ends `run` when what was released is given back: nothing is leased any more.
  func stop() { released.finish() }

  private func giveBack(_ name: LeaseIdentity) async {
    let request = ChanceryV1.ReleaseLeaseRequest(keyID: name.keyID.rawValue, leaseID: name.leaseID.bytes)
    do {
      _ = try await client.release(request, options: CallOptions(timeout: timing.leaseTTL, waitForReady: true))
    } catch {
      observer.event(
        .warning, "lease.release_failed", "the lease will expire: \(error)", name.attributes)
    }
  }

  /// Extends each lease at a third of its life.
  private func keepAlive() async {
    while !Task.isCancelled {
      let due = live.withLock { live in
        live.values.filter { lease in lease.validity.withLock { !$0.isLost && $0.renewAt <= clock.now } }
      }
      tellTimeLeft()
      await withTaskGroup(of: Void.self) { group in
        for lease in due.sorted(by: { $0.name.keyID < $1.name.keyID }) {
          group.addTask { await CallScope.$current.withValue(.tracing(lease.trace)) { await self.renew(lease) } }
        }
      }
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: timing.renewInterval / 4)
    }
  }

  /// Tells how long the lease may yet be used that ends first, 0 without any.
  private func tellTimeLeft() {
    let deadlines = live.withLock { live in live.values.map { lease in lease.validity.withLock { $0.deadline.instant } }
    }
    let left = deadlines.min().map { clock.now.duration(to: $0).inSeconds } ?? 0
    observer.gauge("chancery_lease_left_seconds", to: max(0, left))
  }

  private func renew(_ lease: KeyLease) async {
    let request = ChanceryV1.RenewLeaseRequest(
      keyID: lease.name.keyID.rawValue, leaseID: lease.name.leaseID.bytes,
      ttlMs: UInt32(timing.leaseTTL.inMilliseconds))
    let sent = clock.now
    do {
      let reply = try await client.renew(request, options: CallOptions(timeout: timing.renewInterval))
      let deadline = LeaseDeadline(
        sent: sent, waited: .zero, ttl: .milliseconds(Int(reply.ttlMs)), margin: timing.leaseMargin)
      lease.validity.withLock { validity in
        validity.deadline = deadline
        validity.renewAt = sent.advanced(by: timing.renewInterval)
      }
    } catch  where error.code == .notFound {
      lease.validity.withLock { $0.isLost = true }
      observer.count("chancery_leases_lost_total")
      observer.event(.warning, "lease.lost", error.message, lease.name.attributes)
    } catch {
      // Tried again at the next look; the deadline stands until one succeeds.
    }
  }
}
