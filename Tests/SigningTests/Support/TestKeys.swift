import Domain
import Signing
import Synchronization

/// Two keys of each algorithm, each made once for all tests and only when one asks for it: RSA 4096 takes seconds.
enum TestKeys {
  private static let first = SignatureAlgorithm.allCases.map { Stored($0) }
  private static let second = SignatureAlgorithm.allCases.map { Stored($0) }

  static func key(_ algorithm: SignatureAlgorithm) throws -> PrivateKey {
    try first[Int(algorithm.storageCode) - 1].key()
  }

  static func otherKey(_ algorithm: SignatureAlgorithm) throws -> PrivateKey {
    try second[Int(algorithm.storageCode) - 1].key()
  }

  private final class Stored: Sendable {
    private let algorithm: SignatureAlgorithm
    private let pkcs8 = Mutex<[UInt8]>([])

    init(_ algorithm: SignatureAlgorithm) {
      self.algorithm = algorithm
    }

    func key() throws -> PrivateKey {
      let bytes = try pkcs8.withLock { pkcs8 in
        if pkcs8.isEmpty { pkcs8 = try PrivateKey.generate(algorithm).exposedPKCS8() }
        return pkcs8
      }
      return try PrivateKey(trustedPKCS8: SecretBytes(bytes))
    }
  }
}
