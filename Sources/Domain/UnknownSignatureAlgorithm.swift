/// A name that is no ``SignatureAlgorithm``: the caller's mistake.
public struct UnknownSignatureAlgorithm: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name as given, cut to ``maximumNameCharacters`` for messages.
  public let name: String

  /// The valid name nearest to what was given, or nil if none is near enough to be what was meant.
  public let suggestion: SignatureAlgorithm?

  /// How much of a name is kept: a caller cannot make messages arbitrarily long.
  public static let maximumNameCharacters = 64

  /// An error about `name`.
  public init(name: String) {
    self.name = String(name.prefix(Self.maximumNameCharacters))
    let nearest = SignatureAlgorithm.allCases.map(\.name).nearest(to: self.name)
    self.suggestion = SignatureAlgorithm.allCases.first { $0.name == nearest }
  }

  /// Names the value, the nearest valid name if there is one, and all valid names.
  public var description: String {
    let valid = SignatureAlgorithm.allCases.map(\.name).joined(separator: ", ")
    let hint = suggestion.map { "did you mean \($0.name)? " } ?? ""
    return "unknown algorithm \(String(reflecting: name)): \(hint)valid names are \(valid)"
  }
}
