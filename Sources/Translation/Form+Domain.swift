public import Domain
public import RPC
public import Schema

extension SignatureForm {
  /// The form that a message names; the default where it names none. Throws `INVALID_ARGUMENT` for one that this version
  /// does not know.
  public init(_ message: ChanceryV1.SignatureForm) throws(RPCError) {
    switch message {
    case .unspecified: self = .default
    case .raw: self = .raw
    case .jws: self = .jws
    case .unrecognized:
      let names = Self.allCases.map(\.rawValue).joined(separator: ", ")
      throw RPCError(.invalidArgument, "form \(message.rawValue) is not one of \(names)")
    }
  }

  /// The form as messages name it.
  public var message: ChanceryV1.SignatureForm {
    switch self {
    case .raw: .raw
    case .jws: .jws
    }
  }
}
