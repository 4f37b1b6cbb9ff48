import Domain
import Storage
import Synchronization

/// What this KeyKeeper remembers of keys: their algorithms, which never change, and for a short time their encrypted private
/// keys.
final class WrappedSecrets: Sendable {
  private struct Secret {
    var wrapped: [UInt8]
    var readAt: ContinuousClock.Instant
  }

  private struct State {
    var secrets: [KeyID: Secret] = [:]
    var algorithms: [KeyID: SignatureAlgorithm] = [:]
  }

  private let context: KeeperContext
  private let state = Mutex(State())

  init(_ context: KeeperContext) { self.context = context }

  /// The encrypted private key. Throws `notFound`.
  func wrappedPrivateKey(_ id: KeyID) async throws(StorageError) -> [UInt8] {
    let now = context.clock.now
    let lifetime = context.configuration.secretLifetime
    let known = state.withLock { state in
      state.secrets[id].flatMap { $0.readAt.duration(to: now) < lifetime ? $0.wrapped : nil }
    }
    if let known { return known }
    let wrapped = try await context.trying { () async throws(StorageError) in
      try await context.store.wrappedPrivateKey(id)
    }
    state.withLock { state in
      if state.secrets.count >= context.configuration.secrets {
        state.secrets = state.secrets.filter { $0.value.readAt.duration(to: now) < lifetime }
      }
      // Full of fresh ones: starts anew, which costs each of them one read.
      if state.secrets.count >= context.configuration.secrets { state.secrets = [:] }
      state.secrets[id] = Secret(wrapped: wrapped, readAt: now)
    }
    return wrapped
  }

  /// The algorithm of a key, nil if there is no such key.
  func algorithm(of id: KeyID) async throws(StorageError) -> SignatureAlgorithm? {
    if let known = state.withLock({ $0.algorithms[id] }) { return known }
    let key = try await context.trying { () async throws(StorageError) in try await context.store.key(id) }
    if let key { note(id, key.algorithm) }
    return key?.algorithm
  }

  /// Remembers the algorithm of a key.
  func note(_ id: KeyID, _ algorithm: SignatureAlgorithm) {
    state.withLock { state in
      if state.algorithms.count >= LeaseCacheLimits.keys { state.algorithms = [:] }
      state.algorithms[id] = algorithm
    }
  }
}
