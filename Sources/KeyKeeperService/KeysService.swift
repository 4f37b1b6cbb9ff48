import Domain
import RPC
import Schema
import Signing
import Storage
import Telemetry

/// Serves `chancery.v1.Keys`.
struct KeysService: ChanceryV1.Keys.Service {
  let keeper: KeyKeeper

  var context: KeeperContext { keeper.context }

  /// The most keys of a page, and its size when nothing is said.
  private static let pageLimits = (most: 10_000, usual: 1_000)
  /// The most bytes of a page: well below the largest message.
  private static let pageBytes = 3 * 1024 * 1024

  func list(
    _ request: ChanceryV1.ListKeysRequest, context call: ServerContext
  ) async throws -> ChanceryV1.ListKeysResponse {
    let algorithm = try request.algorithm.optional()
    guard request.pageSize <= Self.pageLimits.most else {
      throw RPCError(.invalidArgument, "page_size: \(request.pageSize) is above \(Self.pageLimits.most)")
    }
    let size = request.pageSize == 0 ? Self.pageLimits.usual : Int(request.pageSize)
    let keys = try await stored { () async throws(StorageError) in
      try await context.store.keys(
        algorithm: algorithm, after: KeyID(rawValue: request.afterKeyID), limit: size + 1)
    }
    var response = ChanceryV1.ListKeysResponse()
    var bytes = 0
    for key in keys.prefix(size) {
      // What the message holds beside these is less than 200 bytes.
      bytes += key.publicKey.count + key.label.utf8.count + 200
      if bytes > Self.pageBytes { break }
      response.keys.append(try message(of: key))
    }
    response.more = response.keys.count < keys.count
    return response
  }

  func get(_ request: ChanceryV1.GetKeyRequest, context call: ServerContext) async throws -> ChanceryV1.Key {
    let key = try await stored { () async throws(StorageError) in
      try await context.store.key(KeyID(rawValue: request.keyID))
    }
    guard let key else { throw RPCError(.notFound, "there is no key \(request.keyID): list the keys") }
    return try message(of: key)
  }

  func getImportKey(
    _ request: ChanceryV1.GetImportKeyRequest, context call: ServerContext
  ) async throws -> ChanceryV1.ImportKey {
    ChanceryV1.ImportKey(publicKey: keeper.keyEncryptionKey.importKey.publicKey.bytes)
  }

  func disable(_ request: ChanceryV1.DisableKeyRequest, context call: ServerContext) async throws -> ChanceryV1.Key {
    try await change(KeyID(rawValue: request.keyID), to: .disabled)
  }

  func enable(_ request: ChanceryV1.EnableKeyRequest, context call: ServerContext) async throws -> ChanceryV1.Key {
    try await change(KeyID(rawValue: request.keyID), to: .active)
  }

  func retire(_ request: ChanceryV1.RetireKeyRequest, context call: ServerContext) async throws -> ChanceryV1.Key {
    try await change(KeyID(rawValue: request.keyID), to: .retired)
  }

  private func change(_ id: KeyID, to state: KeyState) async throws -> ChanceryV1.Key {
    let key = try await stored { () async throws(StorageError) in try await context.store.setState(id, to: state) }
    context.observer.event(
      .info, "key.\(state.rawValue)", "the state of a key was set", ["key": "\(id)"]
    )
    await keeper.refresher.refreshAndWait([id], key.algorithm)
    return try message(of: key)
  }

  /// Does something in the store; a failure is what the caller sees.
  func stored<Value>(
    _ body: () async throws(StorageError) -> Value
  ) async throws(RPCError) -> Value {
    do throws(StorageError) {
      return try await context.trying(body)
    } catch {
      throw RPCError(error)
    }
  }

  func message(of key: Key) throws(RPCError) -> ChanceryV1.Key {
    do throws(SigningError) {
      return try ChanceryV1.Key(key)
    } catch {
      throw RPCError(.internal, "the fingerprint of key \(key.id) cannot be computed: \(error.message)")
    }
  }
}
