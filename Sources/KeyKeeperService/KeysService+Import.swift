import DedicatedThreads
import Domain
import RPC
import Schema
import Signing
import Storage

extension KeysService {
  func `import`(_ request: ChanceryV1.ImportKeyRequest, context call: ServerContext) async throws -> ChanceryV1.Key {
    let sealed = request.sealedPkcs8
    // No key is longer, sealed or not, and nothing longer is worth a computation.
    guard sealed.count <= 2 * PrivateKey.maximumEncodedBytes else {
      throw RPCError(.invalidArgument, "sealed_pkcs8: \(sealed.count) bytes are no private key")
    }
    let algorithm = try request.algorithm.required()
    try check(label: request.label)
    let id = try await stored { () async throws(StorageError) in try await context.store.reserveKeyIDs(1)[0] }
    let wrapping = KeyWrapping(keyEncryptionKey: keeper.keyEncryptionKey, label: request.label)
    let result = try await computing(keeper.compute) { _ in
      Result { () throws(SigningError) in try wrapping.open(sealed, algorithm, as: id) }
    }
    let key: NewKey
    do throws(SigningError) {
      key = try result.get()
    } catch {
      throw switch error.kind {
      case .caller: RPCError(.invalidArgument, "sealed_pkcs8: \(error.message)")
      case .world: RPCError(error.isRetryable ? .unavailable : .internal, "the key cannot be opened: \(error.message)")
      }
    }
    return try message(of: try await insert([key], key.algorithm)[0])
  }
}

extension KeyWrapping {
  /// Opens a private key that was sealed to the import key, checks it and wraps it.
  fileprivate func open(
    _ sealed: [UInt8], _ algorithm: SignatureAlgorithm, as id: KeyID
  ) throws(SigningError) -> NewKey {
    try wrap(try keyEncryptionKey.importKey.open(sealed.span, algorithm: algorithm), as: id)
  }
}
