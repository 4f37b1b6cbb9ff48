import Testing

/// The commands that the program itself names.
enum CommandTree {
  /// The paths of all commands that do something, or of those alone that have an option.
  static func paths(with option: String? = nil) async throws -> [[String]] {
    try await leaves().filter { _, command in
      let names = command["arguments"].list.flatMap { $0["names"].list.map { $0["name"].text } }
      return option.map { names.contains($0) } ?? true
    }.map(\.path)
  }

  /// What the help of a command says below its summary.
  static func discussion(of path: [String]) async throws -> String {
    try await leaves().first { $0.path == path }?.command["discussion"].text ?? ""
  }

  private static func leaves() async throws -> [(path: [String], command: JSON)] {
    let dump = try await Program.run(Program.chancery, ["--experimental-dump-help"]).json()
    func leaves(_ command: JSON, _ path: [String]) -> [(path: [String], command: JSON)] {
      let nested = command["subcommands"].list.filter {
        $0["commandName"].text != "help" && $0["shouldDisplay"].value as? Bool != false
      }
      guard nested.isEmpty else { return nested.flatMap { leaves($0, path + [$0["commandName"].text ?? ""]) } }
      return [(path, command)]
    }
    let all = leaves(dump["command"], [])
    #expect(all.count > 15)
    return all
  }
}
