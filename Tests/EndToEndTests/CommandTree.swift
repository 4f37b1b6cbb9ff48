import Testing

/// The commands that the program itself names.
enum CommandTree {
  /// The paths of all commands that do something, or of those alone that have an option.
  static func paths(with option: String? = nil) async throws -> [[String]] {
    try await commands().filter { _, command in
      let names = command["arguments"].list.flatMap { $0["names"].list.map { $0["name"].text } }
      return option.map { names.contains($0) } ?? true
    }.map(\.path)
  }

  /// What the help of a command says below its summary.
  static func discussion(of path: [String]) async throws -> String {
    try await commands().first { $0.path == path }?.command["discussion"].text ?? ""
  }

  private static func commands() async throws -> [(path: [String], command: JSON)] {
    let dump = try await Program.run(Program.chancery, ["--experimental-dump-help"]).json()
    func commands(_ command: JSON, _ path: [String]) -> [(path: [String], command: JSON)] {
      let nested = command["subcommands"].list.filter {
        $0["commandName"].text != "help" && $0["shouldDisplay"].value as? Bool != false
      }
      let below = nested.flatMap { commands($0, path + [$0["commandName"].text ?? ""]) }
      // A command that only holds others has no option of its own but to ask for help.
      let names = command["arguments"].list.flatMap { $0["names"].list.compactMap { $0["name"].text } }
      let doesSomething = nested.isEmpty || !path.isEmpty && !Set(names).isSubset(of: ["h", "help", "version"])
      return (doesSomething ? [(path, command)] : []) + below
    }
    let all = commands(dump["command"], [])
    #expect(all.count > 15)
    return all
  }
}
