public import ArgumentParser
public import Domain
import Schema

extension SignatureAlgorithm: ExpressibleByArgument {
  /// The names, for help and completion.
  public static var allValueStrings: [String] { allCases.map(\.name) }
}

extension SignatureForm: ExpressibleByArgument {
  /// The names, for help and completion.
  public static var allValueStrings: [String] { allCases.map(\.rawValue) }
}

extension ChanceryV1.Algorithm {
  /// The name that the command line uses.
  var name: String {
    switch self {
    case .ecdsaP256: "ecdsa-p256"
    case .ed25519: "ed25519"
    case .rsaPss2048: "rsa-pss-2048"
    case .rsaPss3072: "rsa-pss-3072"
    case .rsaPss4096: "rsa-pss-4096"
    case .unspecified: "unspecified"
    case .unrecognized(let number): "algorithm-\(number)"
    }
  }
}
