/// A column of a table.
struct TableColumn {
  var title: String
  /// Numbers are set to the right.
  var isNumber = false
  /// Whether its texts are states, which have colours.
  var isState = false
  /// Whether it is left out unless the table is wide.
  var isWide = false
  /// The most characters of a text; nil is all. Wide tables have all.
  var limit: Int?
  /// How wide it is at least, so that the lines of a table that is printed row by row stand below each other.
  var width = 0

  init(
    _ title: String, isNumber: Bool = false, isState: Bool = false, isWide: Bool = false, limit: Int? = nil,
    width: Int = 0
  ) {
    self.title = title
    self.isNumber = isNumber
    self.isState = isState
    self.isWide = isWide
    self.limit = limit
    self.width = width
  }
}

/// Columns set with spaces. What came from outside is made visible, so that it can neither break a line nor reach the
/// terminal as a control sequence.
struct Table {
  var isWide = false
  var hasHeadings = true
  var isColored = false

  /// A line of headings, and a line for each row.
  func text<Row: TableRow>(_ rows: [Row]) -> String {
    let columns = Row.columns.indices.filter { isWide || !Row.columns[$0].isWide }
    let cells = rows.map { row in
      let cells = row.cells
      return columns.map { shown(cells[$0], Row.columns[$0]) }
    }
    let titles = columns.map { Row.columns[$0].title }
    let widths = columns.indices.map { index in
      max(
        Row.columns[columns[index]].width, hasHeadings ? titles[index].count : 0,
        cells.map { $0[index].count }.max() ?? 0)
    }
    func line(_ texts: [String], isHeading: Bool) -> String {
      var line = ""
      for index in texts.indices {
        let column = Row.columns[columns[index]]
        let isLast = index == texts.count - 1
        var text = texts[index]
        let width = isLast && !column.isNumber ? 0 : widths[index]
        text = text.padded(to: width, left: column.isNumber)
        line += isColored && column.isState && !isHeading ? StateColor.paint(text, state: texts[index]) : text
        if !isLast { line += "  " }
      }
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }
    return (hasHeadings ? line(titles, isHeading: true) : "") + cells.map { line($0, isHeading: false) }.joined()
  }

  /// The fields of one thing, one below the other.
  func text<Row: TableRow>(_ row: Row) -> String {
    let width = Row.columns.map(\.title.count).max() ?? 0
    let lines = zip(Row.columns, row.cells).filter { isWide || !$0.0.isWide }.map { column, cell in
      let text = shown(cell, column)
      let painted = isColored && column.isState ? StateColor.paint(text, state: text) : text
      return (hasHeadings ? column.title.padded(to: width) + "  " : "") + painted
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private func shown(_ text: String, _ column: TableColumn) -> String {
    let text = text.printable
    guard !isWide, let limit = column.limit, text.count > limit else { return text }
    return text.prefix(limit) + "…"
  }
}

extension String {
  func padded(to width: Int, left: Bool = false) -> String {
    let padding = String(repeating: " ", count: max(0, width - count))
    return left ? padding + self : self + padding
  }

  /// The text with characters that a terminal obeys, rather than shows, written as Swift and Python write them.
  var printable: String {
    guard unicodeScalars.contains(where: \.isControlling) else { return self }
    return unicodeScalars.reduce(into: "") { text, scalar in
      switch scalar {
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.isControlling: text += "\\u{\(String(scalar.value, radix: 16))}"
      default: text.unicodeScalars.append(scalar)
      }
    }
  }

  /// As `printable`, with the lines kept that it has.
  var printableLines: String {
    split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }.joined(separator: "\n")
  }
}

extension Unicode.Scalar {
  /// Control characters, line separators, and those that turn the direction of text.
  fileprivate var isControlling: Bool {
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    case .format: (0x202A...0x202E).contains(value) || (0x2066...0x2069).contains(value)
    default: false
    }
  }
}
