import ArgumentParser
import Glibc

/// Whether to colour what people read.
enum ColorMode: String, ExpressibleByArgument, CaseIterable {
  /// On a terminal that has colours, unless `NO_COLOR` is set (https://no-color.org).
  case auto
  case always
  case never

  /// Whether to colour what is written to a descriptor.
  func colors(_ descriptor: Int32) -> Bool {
    switch self {
    case .always: true
    case .never: false
    case .auto:
      isatty(descriptor) == 1 && Settings.value(nil, variable: "NO_COLOR") == nil && TerminalKind.hasControls
    }
  }

  /// As the command line says, even if its arguments are wrong.
  static let given: ColorMode = {
    CommandLine.values(of: "color").last.flatMap { ColorMode(rawValue: $0) } ?? .auto
  }()
}

extension CommandLine {
  /// What the command line gives for an option, for when its arguments cannot be parsed.
  static func values(of option: String, short: String? = nil) -> [String] {
    let (long, names) = ("--\(option)=", ["--\(option)"] + (short.map { ["-\($0)"] } ?? []))
    return arguments.compactMap { $0.hasPrefix(long) ? String($0.dropFirst(long.count)) : nil }
      + zip(arguments, arguments.dropFirst()).compactMap { names.contains($0) ? $1 : nil }
  }
}

extension String {
  /// The text in a colour or weight (ECMA-48, SGR).
  func painted(_ code: String) -> String { "\u{1B}[\(code)m\(self)\u{1B}[0m" }
}

/// What the terminal says of itself.
enum TerminalKind {
  /// Whether it obeys control sequences.
  static var hasControls: Bool { Settings.value(nil, variable: "TERM").map { $0 != "dumb" } ?? false }
}

/// The colours of states, by the word: what goes well, what wants a look, what is wrong.
enum StateColor {
  private static let codes: [String: String] = {
    let good = ["serving", "active", "done", "signed", "ok", "holds", "yes"]
    let noteworthy = [
      "running", "paused", "pending", "leased", "retiring", "disabled", "not_serving", "warning", "skipped",
      "not applied",
    ]
    let bad = ["failed", "cancelled", "unreachable", "unknown", "retired", "error"]
    var codes: [String: String] = [:]
    for (words, code) in [(good, "32"), (noteworthy, "33"), (bad, "31")] {
      for word in words { codes[word] = code }
    }
    return codes
  }()

  /// A text in the colour of a state.
  static func paint(_ text: String, state: String) -> String {
    codes[state].map(text.painted) ?? text
  }
}
