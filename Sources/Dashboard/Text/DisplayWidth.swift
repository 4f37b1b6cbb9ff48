/// How many cells of a terminal a text takes: most characters one, those that are wide in East Asian scripts and emoji
/// two.
extension Character {
  /// 1 or 2; what has no width of its own does not stand alone in a frame: see `printable`.
  var displayWidth: Int {
    guard let first = unicodeScalars.first else { return 1 }
    if first.properties.isEmojiPresentation { return 2 }
    return Self.wideRanges.contains { $0.contains(first.value) } ? 2 : 1
  }

  /// The ranges of EastAsianWidth.txt (Unicode 15) that are wide or full width, joined over what is not assigned.
  private static let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
    0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F,
    0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18CFF, 0x18D00...0x18D08, 0x1AFF0...0x1B2FF, 0x20000...0x3FFFD,
  ]
}

extension StringProtocol {
  /// How many cells the text takes.
  var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

  /// The text as it may reach a terminal: what controls the terminal, turns the direction of writing, or does not show
  /// becomes `?`; without UTF-8, so does everything beyond ASCII. A character keeps few of its combining marks.
  func printable(isUTF8: Bool) -> String {
    var result = ""
    for character in self {
      guard let first = character.unicodeScalars.first else { continue }
      if first.isASCII, first.value >= 0x20, first.value != 0x7F {
        result.unicodeScalars.append(first)
        if isUTF8 { result.unicodeScalars.append(contentsOf: Self.marks(of: character)) }
      } else if isUTF8, Self.isShown(first) {
        result.unicodeScalars.append(first)
        result.unicodeScalars.append(contentsOf: Self.marks(of: character))
      } else {
        result += "?"
      }
    }
    return result
  }

  /// The first combining marks of a character; joiners and the like are left out, so that widths stay what they seem.
  private static func marks(of character: Character) -> [Unicode.Scalar] {
    Array(character.unicodeScalars.dropFirst().filter { $0.properties.generalCategory == .nonspacingMark }.prefix(2))
  }

  private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .nonspacingMark,
      .enclosingMark, .spacingMark:
      false
    default: true
    }
  }
}
