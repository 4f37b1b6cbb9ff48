import Domain
import RPC
import Schema
import Signing
import Storage
import Telemetry

/// Serves `chancery.v1.Leases`.
struct LeasesService: ChanceryV1.Leases.Service {
  let keeper: KeyKeeper

  private var context: KeeperContext { keeper.context }

  func acquire(_ request: ChanceryV1.AcquireLeaseRequest, context call: ServerContext) async throws -> ChanceryV1.Lease
  {
    let algorithm = try request.algorithm.required()
    let holder = try SignerID(request: request.holder)
    let recipient = try SealingPublicKey(request: request.recipientPublicKey)
    let ttl = try Duration(ttlMs: request.ttlMs, context.configuration.timing)
    let arrived = context.clock.now
    let deadline = deadline(of: call, from: arrived)
    let outcome = try await keeper.lines[algorithm].wait(holder: holder, ttl: ttl, until: deadline)
    switch outcome {
    case nil: throw CancellationError()
    case .failed(let error): throw error
    case .timedOut: throw await timeoutError(algorithm, waited: arrived.duration(to: context.clock.now))
    case .granted(let lease):
      keeper.secrets.note(lease.name.keyID, algorithm)
      do {
        let sealed = try await seal(lease, to: recipient)
        // The caller has gone: nobody would release it.
        try Task.checkCancellation()
        return ChanceryV1.Lease(lease, sealedPrivateKey: sealed)
      } catch {
        keeper.releases.abandon(lease.name, algorithm)
        throw error
      }
    }
  }

  func renew(
    _ request: ChanceryV1.RenewLeaseRequest, context call: ServerContext
  ) async throws -> ChanceryV1.RenewLeaseResponse {
    let lease = try LeaseName(keyID: request.keyID, leaseID: request.leaseID)
    let ttl = try Duration(ttlMs: request.ttlMs, context.configuration.timing)
    guard let algorithm = try await renewInStore(lease, ttl) else {
      throw RPCError(
        .notFound, "lease \(lease.leaseID) of key \(lease.keyID) has ended: stop using the key and acquire another")
    }
    await renewInCache(lease, algorithm, ttl)
    context.observer.count("chancery_leases_renewed_total", ["algorithm": algorithm.name])
    return ChanceryV1.RenewLeaseResponse(ttlMs: ttl.wholeMilliseconds)
  }

  func release(
    _ request: ChanceryV1.ReleaseLeaseRequest, context call: ServerContext
  ) async throws -> ChanceryV1.ReleaseLeaseResponse {
    let lease = try LeaseName(keyID: request.keyID, leaseID: request.leaseID)
    let algorithm: SignatureAlgorithm?
    do throws(StorageError) {
      algorithm = try await keeper.secrets.algorithm(of: lease.keyID)
    } catch {
      throw RPCError(error)
    }
    // A key that does not exist has no lease that could be ended.
    if let algorithm { try await keeper.releases.release(lease, algorithm) }
    return ChanceryV1.ReleaseLeaseResponse()
  }

  /// When to stop waiting: in time to say so before the caller gives up.
  private func deadline(of call: ServerContext, from now: ContinuousClock.Instant) -> ContinuousClock.Instant {
    let latest = now.advanced(by: context.configuration.timing.acquireWait)
    guard let deadline = call.deadline else { return latest }
    let margin = min(context.configuration.answerMargin, now.duration(to: deadline) / 10)
    return min(latest, deadline.advanced(by: .zero - margin))
  }

  private func timeoutError(_ algorithm: SignatureAlgorithm, waited: Duration) async -> RPCError {
    context.observer.count("chancery_acquires_timed_out_total", ["algorithm": algorithm.name])
    // For the message only: that they cannot be had changes nothing about the outcome.
    let keys = (try? await context.store.activeKeyCount(algorithm)).map { "\($0)" } ?? "an unknown number of"
    let occupancy = try? await context.cache.occupancy(algorithm)
    let waiting = occupancy?.waiting ?? keeper.lines[algorithm].waiterCount
    return RPCError(
      .resourceExhausted,
      "no \(algorithm) key became free within \(waited.wholeMilliseconds) ms: there are \(keys) active keys, and "
        + "\(waiting) callers wait; add keys, or wait longer")
  }

  /// Decrypts the private key and encrypts it for the holder. Nothing of it stays behind here.
  private func seal(_ lease: GrantedLease, to recipient: SealingPublicKey) async throws -> [UInt8] {
    let keyID = lease.name.keyID
    let bytes: [UInt8]
    do throws(StorageError) {
      bytes = try await keeper.secrets.wrappedPrivateKey(keyID)
    } catch {
      throw RPCError(error)
    }
    do throws(SigningError) {
      let secret = try keeper.keyEncryptionKey.unwrap(
        try WrappedKey(bytes: bytes), keyID: keyID, algorithm: lease.algorithm)
      return try recipient.seal(secret, for: .lease(keyID, lease.epoch))
    } catch {
      if error.code == .invalidRecipient { throw RPCError(.invalidArgument, "recipient_public_key: \(error.message)") }
      context.observer.event(.error, "key.unusable", error.description, ["key": "\(keyID)"])
      throw RPCError(error.isRetryable ? .unavailable : .internal, "key \(keyID) cannot be sealed: \(error.message)")
    }
  }

  /// The algorithm of the key, nil if the lease has ended.
  private func renewInStore(_ lease: LeaseName, _ ttl: Duration) async throws(RPCError) -> SignatureAlgorithm? {
    do throws(StorageError) {
      let isLive = try await context.trying { () async throws(StorageError) in
        try await context.store.renew(lease.keyID, lease: lease.leaseID, ttl: ttl)
      }
      return isLive ? try await keeper.secrets.algorithm(of: lease.keyID) : nil
    } catch {
      throw RPCError(error)
    }
  }

  /// What the cache does not know or cannot be told makes it count the lease as expired too early; then it picks the key, is
  /// refused and learns better.
  private func renewInCache(_ lease: LeaseName, _ algorithm: SignatureAlgorithm, _ ttl: Duration) async {
    do throws(StorageError) {
      let isKnown = try await context.cache.renew(
        lease, algorithm: algorithm, ttl: ttl + context.configuration.expirySlack)
      if !isKnown { keeper.refresher.refresh(lease.keyID, algorithm) }
    } catch {
      context.observer.count("chancery_cache_failures_total", ["algorithm": algorithm.name])
    }
  }
}
