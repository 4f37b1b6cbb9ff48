import ArgumentParser
import Dashboard
import DedicatedThreads
import FoundationEssentials
import Glibc
import Terminal

struct TopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Watch the cluster: jobs, signers, keys, leases, failures.",
    discussion: """
      On a terminal, a screen that follows what the services report; '?' shows the keys, 'q' leaves. It only reads. \
      Elsewhere, or where the terminal cannot show a screen, a line for every interval; with -o jsonl a JSON object. \
      NO_COLOR leaves colours out. Example: chancery top --interval 0.5
      """)

  @Option(parsing: .unconditional, help: "Seconds between two looks, 0.1 to 60.") var interval = 1.0
  @Flag(help: "Look once, print a line (or a JSON object) and end.") var once = false
  @Option(name: [.customShort("o"), .long], help: "How to print: table for people, or jsonl, one object a line.")
  var output = Format.table
  @OptionGroup var connection: ConnectionOptions

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case table
    case jsonl
  }

  func validate() throws {
    guard interval >= 0.1, interval <= 60 else {
      throw ValidationError("--interval \(interval) is not between 0.1 and 60 seconds")
    }
  }

  func run() async throws {
    guard output == .table, !once, StandardInput.isTerminal, StandardOutput.isTerminal else { return try await print() }
    do {
      try await show()
    } catch let error as Screen.Unavailable {
      StandardError.write("no screen, lines instead: \(error)\n")
      try await print()
    }
  }

  private func show() async throws {
    try Screen.check()
    let usesColour = ColorMode.auto.colors(STDOUT_FILENO)
    try await follow { try await TopScreen(state: $0, usesColour: usesColour).run() }
  }

  private func print() async throws {
    let lines = TopLines(interval: .seconds(interval), once: once, format: output)
    try await follow { try await lines.run($0) }
  }

  /// Shows what the feeds bring, until `show` ends because it was told to, or the feeds because they cannot go on.
  private func follow(_ show: @escaping @Sendable (TopState) async throws -> Void) async throws {
    let model = DashboardModel(context: try connection.address(.logger), interval: .seconds(interval), now: .now)
    let state = try TopState(Dashboard(model, Capabilities(isUTF8: false)))
    let feeds = TopFeeds(connection: connection, interval: .seconds(interval), state: state)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await feeds.run() }
      group.addTask { try await show(state) }
      defer { group.cancelAll() }
      try await group.next()
    }
  }
}
