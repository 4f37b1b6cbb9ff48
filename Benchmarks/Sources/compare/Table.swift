import Foundation

/// Columns set with spaces.
enum Table {
  /// - Parameters:
  ///   - texts: the headings of the first columns, set to the left.
  ///   - numbers: the headings of all others, set to the right.
  static func text(_ texts: [String], numbers: [String], _ rows: [[String]]) -> String {
    let lines = [texts + numbers] + rows
    let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { cells in
      let padded = cells.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - cells[column].count)
        return column < texts.count ? cells[column] + padding : padding + cells[column]
      }
      var line = padded.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}

extension Int {
  /// With a comma between thousands.
  var grouped: String {
    let digits = String(self)
    return String(
      digits.enumerated().flatMap { index, digit in
        index > 0 && (digits.count - index) % 3 == 0 ? [",", digit] : [digit]
      })
  }
}

extension Double {
  /// With `digits` digits after the point.
  func text(digits: Int) -> String { String(format: "%.\(digits)f", self) }
}
