public import Domain
public import RPC
public import Schema

extension SignatureAlgorithm {
  /// The algorithm that a message names; the default where it names none. Throws `INVALID_ARGUMENT` for one that this
  /// version does not know.
  public init(_ message: ChanceryV1.Algorithm, default: SignatureAlgorithm? = .default) throws(RPCError) {
    switch message {
    case .ecdsaP256: self = .ecdsaP256
    case .ed25519: self = .ed25519
    case .rsaPss2048: self = .rsaPSS2048
    case .rsaPss3072: self = .rsaPSS3072
    case .rsaPss4096: self = .rsaPSS4096
    case .unspecified:
      guard let `default` else { throw Self.unknown(message) }
      self = `default`
    case .unrecognized: throw Self.unknown(message)
    }
  }

  private static func unknown(_ message: ChanceryV1.Algorithm) -> RPCError {
    let names = allCases.map(\.name).joined(separator: ", ")
    return RPCError(.invalidArgument, "algorithm \(message.rawValue) is not one of \(names)")
  }

  /// The algorithm as messages name it.
  public var message: ChanceryV1.Algorithm {
    switch self {
    case .ecdsaP256: .ecdsaP256
    case .ed25519: .ed25519
    case .rsaPSS2048: .rsaPss2048
    case .rsaPSS3072: .rsaPss3072
    case .rsaPSS4096: .rsaPss4096
    }
  }
}
