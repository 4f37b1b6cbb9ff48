/// Source text being written, line by line. `swift format` lays it out afterwards.
struct Lines {
  private static let columns = 120

  private(set) var text = ""
  private var indentation = 0

  /// Adds lines at the current indentation.
  mutating func add(_ lines: String...) {
    for line in lines { append(line) }
  }

  /// Adds a blank line, unless there is one or a block has just begun.
  mutating func space() {
    if !text.isEmpty, !text.hasSuffix("\n\n"), !text.hasSuffix("{\n") { text += "\n" }
  }

  /// Adds documentation.
  mutating func doc(_ comment: DocComment, or fallback: String) {
    let width = Self.columns - 2 * indentation - "/// ".count
    for line in comment.lines(or: fallback, width: width) { append(line.isEmpty ? "///" : "/// \(line)") }
  }

  /// Adds `head {`, the body one step further in, and `}`.
  mutating func block(_ head: String, _ body: (inout Lines) -> Void) {
    append("\(head) {")
    indent(body)
    append("}")
  }

  /// Adds a closure: `head { parameters in`, the body one step further in, and `}`.
  mutating func closure(_ head: String, _ parameters: String, _ body: (inout Lines) -> Void) {
    append("\(head) { \(parameters) in")
    indent(body)
    append("}")
  }

  private mutating func indent(_ body: (inout Lines) -> Void) {
    indentation += 1
    body(&self)
    indentation -= 1
  }

  private mutating func append(_ line: String) {
    text += (line.isEmpty ? "" : String(repeating: "  ", count: indentation) + line) + "\n"
  }
}
