/// A table that fits itself into a width: columns that matter less go first, the others share what is left.
struct TextTable {
  /// A column.
  struct Column {
    var title: String
    /// Whether it is set to the right.
    var isNumber = false
    /// The least important go first when there is no room; 0 stays whatever happens.
    var rank = 0

    init(_ title: String, isNumber: Bool = false, rank: Int = 0) {
      self.title = title
      self.isNumber = isNumber
      self.rank = rank
    }
  }

  /// A row, with a style for all of it or for one cell.
  struct Row {
    var cells: [Span]
    var isSelected = false
  }

  var columns: [Column]
  var rows: [Row] = []

  /// The heading, and a line for each row.
  func lines(width: Int) -> [Line] {
    let kept = columns(fitting: width)
    let widths = kept.map { natural($0) }
    let heading = line(kept.map { Span(columns[$0].title, .dim) }, kept, widths, width)
    return [heading]
      + rows.map { row in
        let cells = kept.map { row.isSelected ? Span(row.cells[$0].text, .selected) : row.cells[$0] }
        var line = line(cells, kept, widths, width)
        if row.isSelected {
          line = line.map { Span($0.text, .selected) }
          let used = line.reduce(0) { $0 + $1.text.displayWidth }
          line.append(Span(String(repeating: " ", count: max(0, width - used)), .selected))
        }
        return line
      }
  }

  private static let gap = 2

  private func natural(_ column: Int) -> Int {
    rows.reduce(columns[column].title.displayWidth) { max($0, $1.cells[column].text.displayWidth) }
  }

  private func columns(fitting width: Int) -> [Int] {
    var kept = Array(columns.indices)
    func needed() -> Int { kept.reduce(-Self.gap) { $0 + natural($1) + Self.gap } }
    while needed() > width, let least = kept.max(by: { columns[$0].rank < columns[$1].rank }), columns[least].rank > 0 {
      kept.removeAll { $0 == least }
    }
    return kept
  }

  private func line(_ cells: [Span], _ kept: [Int], _ widths: [Int], _ width: Int) -> Line {
    var line: Line = []
    for (index, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: max(0, widths[index] - cell.text.displayWidth))
      let gap = index + 1 < cells.count ? String(repeating: " ", count: Self.gap) : ""
      if columns[kept[index]].isNumber {
        line += [Span(padding), cell, Span(gap)]
      } else {
        line += [cell, Span(padding + gap)]
      }
    }
    return line
  }
}
