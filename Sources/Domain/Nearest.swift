extension Collection<String> {
  /// The name nearest to one that is none of these, or nil if no one is near enough to be what was meant.
  package func nearest(to name: String) -> String? {
    let given = normalized(name)
    let ranked = map { ($0, mismatch(given, normalized($0))) }
    guard let best = ranked.min(by: { $0.1 < $1.1 }) else { return nil }
    // Something of it is right.
    return best.1 <= Swift.max(2, given.count / 2) && best.1 < given.count ? best.0 : nil
  }

  /// The words with which a message asks whether the nearest name was meant; empty if none is near enough.
  package func suggestion(for name: String) -> String { nearest(to: name).map { "did you mean '\($0)'? " } ?? "" }
}

/// An abbreviation such as `p256` is nearer than its length would say.
private func mismatch(_ given: [Character], _ name: [Character]) -> Int {
  given.count >= 3 && name.suffix(given.count) == given[...] ? 1 : editDistance(given, name)
}

/// Lower case letters and digits only, so that `P256`, `ECDSA_P-256` and `ecdsap256` all come near `ecdsa-p256`. At most
/// 64, which bounds the work.
private func normalized(_ name: String) -> [Character] {
  Array(name.prefix(64).lowercased().filter { $0.isLetter || $0.isNumber })
}

/// Levenshtein's distance: the fewest insertions, deletions and substitutions that turn one into the other.
private func editDistance(_ from: [Character], _ to: [Character]) -> Int {
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
