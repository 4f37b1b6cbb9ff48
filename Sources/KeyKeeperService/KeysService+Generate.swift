import DedicatedThreads
import Domain
import RPC
import Schema
import Signing
import Storage
import Telemetry

extension KeysService {
  func generate(
    _ request: ChanceryV1.GenerateKeysRequest, replies: RPCWriter<ChanceryV1.Key>, context call: ServerContext
  ) async throws {
    let algorithm = try request.algorithm.optional() ?? .default
    guard request.count <= Self.maximumCount else {
      throw RPCError(.invalidArgument, "count: \(request.count) is not between 1 and \(Self.maximumCount)")
    }
    try check(label: request.label)
    var left = max(1, Int(request.count))
    while left > 0 {
      let count = min(left, algorithm.keysPerRound * context.configuration.generators)
      let keys = try await insert(try await make(count, algorithm, label: request.label), algorithm)
      for key in keys { try await replies.write(try message(of: key)) }
      left -= count
    }
  }

  /// The most keys of one call.
  private static var maximumCount: Int { 10_000 }

  func check(label: String) throws(RPCError) {
    guard label.utf8.count <= Key.maximumLabelBytes else {
      throw RPCError(
        .invalidArgument, "label: it has \(label.utf8.count) bytes, and the limit is \(Key.maximumLabelBytes)")
    }
  }

  /// Adds keys, tells the cache, and returns them when they can be leased.
  func insert(_ keys: [NewKey], _ algorithm: SignatureAlgorithm) async throws(RPCError) -> [Key] {
    let inserted: [Key]
    do throws(StorageError) {
      inserted = try await context.store.insert(keys)
    } catch {
      guard error.mayPass else { throw RPCError(error) }
      // Whether they were added is known when they are looked up: all or none of them.
      inserted = try await stored { () async throws(StorageError) in
        if let known = try await context.store.key(keys[0].id) {
          let rest = try await context.store.keys(algorithm: algorithm, after: known.id, limit: keys.count * 2)
          let ids = Set(keys.map(\.id))
          return [known] + rest.filter { ids.contains($0.id) }
        }
        return try await context.store.insert(keys)
      }
    }
    for key in inserted { keeper.secrets.note(key.id, algorithm) }
    context.observer.event(
      .info, "keys.added", "keys were added", ["algorithm": algorithm.name, "count": "\(inserted.count)"])
    await keeper.refresher.refreshAndWait(inserted.map(\.id), algorithm)
    return inserted
  }

  /// Generates keys, some at a time, where long computations run.
  private func make(
    _ count: Int, _ algorithm: SignatureAlgorithm, label: String
  ) async throws -> [NewKey] {
    let ids = try await stored { () async throws(StorageError) in try await context.store.reserveKeyIDs(count) }
    let wrapping = KeyWrapping(keyEncryptionKey: keeper.keyEncryptionKey, label: label)
    let compute = keeper.compute
    return try await withThrowingTaskGroup(of: [NewKey].self) { group in
      for start in stride(from: 0, to: count, by: algorithm.keysPerRound) {
        let part = Array(ids[start..<min(start + algorithm.keysPerRound, count)])
        group.addTask {
          let result = try await computing(compute) { flag in
            Result { () throws(SigningError) in
              try part.map { (id) throws(SigningError) in
                // A cancelled call needs no more keys: the caller's task throws before it looks at what is missing.
                if flag.isCancelled { throw SigningError(.resourceExhausted, "the call was cancelled") }
                return try wrapping.wrap(try PrivateKey.generate(algorithm), as: id)
              }
            }
          }
          try Task.checkCancellation()
          do throws(SigningError) {
            return try result.get()
          } catch {
            throw RPCError(.internal, "no \(algorithm) key could be generated: \(error.message)")
          }
        }
      }
      var keys: [NewKey] = []
      for try await part in group { keys += part }
      return keys.sorted { $0.id < $1.id }
    }
  }
}

/// Turns private keys into what is stored.
struct KeyWrapping: Sendable {
  let keyEncryptionKey: KeyEncryptionKey
  let label: String

  func wrap(_ key: borrowing PrivateKey, as id: KeyID) throws(SigningError) -> NewKey {
    let wrapped = try keyEncryptionKey.wrap(try key.pkcs8(), keyID: id, algorithm: key.algorithm)
    return NewKey(
      id: id, algorithm: key.algorithm, publicKey: try key.publicKey.der, wrappedPrivateKey: wrapped.bytes,
      keyEncryptionKeyID: wrapped.kekID.description, label: label)
  }
}

/// Runs a computation; a pool that has no room is the caller's to wait for.
func computing<Value: Sendable>(
  _ compute: any ComputeExecutor, _ work: @escaping @Sendable (CancellationFlag) -> Value
) async throws -> Value {
  do throws(ComputeError) {
    return try await compute.run(work)
  } catch {
    switch error {
    case .cancelled: throw CancellationError()
    case .queueFull, .shutDown: throw RPCError(.unavailable, "\(error)")
    }
  }
}

extension SignatureAlgorithm {
  /// How many keys are generated in one piece of work: some milliseconds, or one key if that takes longer.
  fileprivate var keysPerRound: Int {
    switch self {
    case .ecdsaP256, .ed25519: 64
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096: 1
    }
  }
}
