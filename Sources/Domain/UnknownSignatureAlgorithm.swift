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
    self.suggestion = Self.nearest(to: self.name)
  }

  /// Names the value, the nearest valid name if there is one, and all valid names.
  public var description: String {
    let valid = SignatureAlgorithm.allCases.map(\.name).joined(separator: ", ")
    let hint = suggestion.map { "did you mean \($0.name)? " } ?? ""
    return "unknown algorithm \(String(reflecting: name)): \(hint)valid names are \(valid)"
  }

  private static func nearest(to name: String) -> SignatureAlgorithm? {
    let given = normalized(name)
    guard !given.isEmpty else { return nil }
    let ranked = SignatureAlgorithm.allCases.map { ($0, distance(given, normalized($0.name))) }
    guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(2, given.count / 2) else { return nil }
    return best.0
  }

  /// An abbreviation such as `p256` is nearer than its length would say.
  private static func distance(_ given: [Character], _ name: [Character]) -> Int {
    given.count >= 3 && name.suffix(given.count) == given[...] ? 1 : editDistance(given, name)
  }

  /// Lower case letters and digits only, so that `P256`, `ECDSA_P-256` and `ecdsap256` all come near `ecdsa-p256`.
  private static func normalized(_ name: String) -> [Character] {
    name.lowercased().filter { $0.isLetter || $0.isNumber }
  }

  /// Levenshtein's distance: the fewest insertions, deletions and substitutions that turn one into the other.
  private static func editDistance(_ from: [Character], _ to: [Character]) -> Int {
    var previous = Array(0...to.count)
    for (row, left) in from.enumerated() {
      var current = [row + 1]
      for (column, right) in to.enumerated() {
        let substitution = previous[column] + (left == right ? 0 : 1)
        current.append(min(substitution, previous[column + 1] + 1, current[column] + 1))
      }
      previous = current
    }
    return previous[to.count]
  }
}
