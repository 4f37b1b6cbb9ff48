internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

/// The comment on an element of a `.proto` file, as Swift documentation.
struct DocComment {
  private let text: [String]
  /// Lines such as `@view`, which address the generator.
  private let directives: Set<String>
  private let isDeprecated: Bool

  init(_ location: Google_Protobuf_SourceCodeInfo.Location?, isDeprecated: Bool = false) {
    let paragraphs = [location?.leadingComments ?? "", location?.trailingComments ?? ""].map(Self.lines)
    let isDirective = { (line: String) in line.hasPrefix("@") && !line.contains(" ") }
    directives = Set(paragraphs[0].filter(isDirective))
    text = Self.join(paragraphs.map { Self.trimmed($0.filter { !isDirective($0) }) })
    self.isDeprecated = isDeprecated
  }

  /// The directives other than those the generator knows.
  var unknownDirectives: [String] { directives.subtracting(["@view"]).sorted() }

  var asksForView: Bool { directives.contains("@view") }

  /// The documentation lines, without `///`.
  ///
  /// - Parameters:
  ///   - fallback: stands for a missing comment.
  ///   - width: the length that lines should not exceed.
  func lines(or fallback: String, width: Int) -> [String] {
    let warning = isDeprecated ? ["- Warning: Deprecated in the schema."] : []
    return Self.join([Self.wrapped(text.isEmpty ? [fallback] : text, width: width), warning])
  }

  /// This comment, or another if this one is empty.
  func or(_ other: DocComment) -> DocComment {
    text.isEmpty && !other.text.isEmpty ? other : self
  }

  private static func lines(_ comment: String) -> [String] {
    comment.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
      // protoc keeps the blank after the comment marker.
      let line = line.hasPrefix(" ") ? line.dropFirst() : line
      return String(line.reversed().drop(while: \.isWhitespace).reversed())
    }
  }

  private static func trimmed(_ lines: [String]) -> [String] {
    Array(lines.drop(while: \.isEmpty).reversed().drop(while: \.isEmpty).reversed())
  }

  private static func join(_ paragraphs: [[String]]) -> [String] {
    Array(paragraphs.filter { !$0.isEmpty }.joined(separator: [""]))
  }

  /// Breaks lines that are too long between words. What does not fit goes before the next line, if that continues the
  /// sentence.
  private static func wrapped(_ lines: [String], width: Int) -> [String] {
    var result: [String] = []
    var rest = ""
    for line in lines {
      let continues = line.first.map { $0.isLetter || $0.isNumber || $0 == "`" || $0 == "(" } ?? false
      if !rest.isEmpty, !continues { result.append(rest) }
      var current = rest.isEmpty || !continues ? line : "\(rest) \(line)"
      rest = ""
      while current.count > width, let (head, tail) = split(current, width: width) {
        result.append(head)
        current = tail
        rest = tail
      }
      if rest.isEmpty { result.append(current) }
    }
    return rest.isEmpty ? result : result + [rest]
  }

  /// Cuts a line at the last blank within `width` that is not part of its indentation.
  private static func split(_ line: String, width: Int) -> (String, String)? {
    let indentation = line.prefix(while: \.isWhitespace)
    guard let cut = line.prefix(width + 1).lastIndex(of: " "), cut >= indentation.endIndex else { return nil }
    let hanging = line[indentation.endIndex...].hasPrefix("- ") ? "  " : ""
    return (String(line[..<cut]), "\(indentation)\(hanging)\(line[line.index(after: cut)...])")
  }
}
