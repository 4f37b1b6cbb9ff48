/// How a text looks. What a terminal lacks it leaves out, so no meaning rests on a style alone.
public enum Style: Sendable, Hashable, CaseIterable {
  /// As the terminal has it.
  case plain
  /// Headings of tables and what matters less.
  case dim
  /// Titles of panels.
  case title
  /// The bars at the top and at the bottom.
  case bar
  /// The row that is chosen.
  case selected
  /// As it should be.
  case good
  /// Worth a look.
  case warning
  /// Something is wrong.
  case bad
  /// Bars and sparklines.
  case graph
}

/// A piece of a line.
struct Span: Sendable, Hashable {
  var text: String
  var style: Style

  init(_ text: String, _ style: Style = .plain) {
    self.text = text
    self.style = style
  }
}

/// A line of a frame.
typealias Line = [Span]

/// One screen: what stands in each cell, and how it looks.
public struct Frame: Sendable, Hashable {
  /// A cell. A wide character stands in its left cell; the right one is `nil`.
  public struct Cell: Sendable, Hashable {
    /// The character; a space where there is none.
    public var character: Character?
    /// How it looks.
    public var style: Style
  }

  /// A run of cells that look alike.
  public struct Run: Sendable, Hashable {
    /// What to write.
    public var text: String
    /// How it looks.
    public var style: Style
  }

  /// Columns.
  public let width: Int
  /// Lines.
  public let height: Int
  private var cells: [Cell]

  /// An empty frame.
  init(width: Int, height: Int) {
    (self.width, self.height) = (width, height)
    cells = Array(repeating: Cell(character: " ", style: .plain), count: width * height)
  }

  /// Writes spans one after another from the left; what does not fit is left out. With `fill`, the rest of the line
  /// looks so.
  mutating func write(_ line: Line, row: Int, fill: Style? = nil) {
    guard row >= 0, row < height else { return }
    var column = 0
    for span in line {
      for character in span.text {
        let wide = character.displayWidth
        guard column + wide <= width else { return }
        cells[row * width + column] = Cell(character: character, style: span.style)
        if wide == 2 { cells[row * width + column + 1] = Cell(character: nil, style: span.style) }
        column += wide
      }
    }
    guard let fill else { return }
    for column in column..<max(column, width) { cells[row * width + column].style = fill }
  }

  /// A line as runs of one style, from the left.
  public func runs(row: Int) -> [Run] {
    var runs: [Run] = []
    for cell in cells[(row * width)..<((row + 1) * width)] {
      guard let character = cell.character else { continue }
      if runs.last?.style == cell.style {
        runs[runs.count - 1].text.append(character)
      } else {
        runs.append(Run(text: String(character), style: cell.style))
      }
    }
    return runs
  }

  /// The frame as plain text, without the spaces at the ends of lines.
  public var text: String {
    (0..<height).map { row in
      var line = runs(row: row).map(\.text).joined()
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}
