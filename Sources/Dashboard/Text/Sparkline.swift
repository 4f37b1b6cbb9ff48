/// A row of bars, one a value, the newest to the right.
enum Sparkline {
  /// `values` against the greatest of them; nil, where nothing is known, is a space.
  static func text(_ values: [Double?], isUTF8: Bool) -> String {
    let top = values.compactMap { $0 }.max() ?? 0
    let bars = Array(isUTF8 ? "▁▂▃▄▅▆▇█" : "_.-=+*%#")
    return String(
      values.map { value in
        guard let value else { return " " }
        guard top > 0, value > 0 else { return bars[0] }
        return bars[min(bars.count - 1, Int(value / top * Double(bars.count)))]
      })
  }

  /// How far something is: a bar of `width` cells.
  static func progress(_ part: Double, of whole: Double, width: Int, isUTF8: Bool) -> String {
    let share = whole > 0 ? min(1, max(0, part / whole)) : 0
    let filled = Int(share * Double(width))
    let (full, empty) = isUTF8 ? ("█", "░") : ("#", ".")
    return String(repeating: full, count: filled) + String(repeating: empty, count: width - filled)
  }
}
