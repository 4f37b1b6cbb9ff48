import Foundation
import LocalServers
import Testing

/// A terminal that tmux emulates, in which a program runs as a person would run it, and what can be seen of it.
final class TerminalSession: Sendable {
  private let directory: URL
  private var socket: String { directory.appending(path: "tmux").path }

  private init(directory: URL) { self.directory = directory }

  /// Runs `chancery` with arguments in a new terminal, and lends that to `body`.
  static func with(
    _ arguments: [String], width: Int, height: Int, environment: [String: String], terminal: String? = nil,
    _ body: (TerminalSession) async throws -> Void
  ) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "top-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let session = TerminalSession(directory: directory)
    // The shell says how the terminal was before and after, and stays, even if a key interrupts, so that the screen can be
    // looked at. The crash report of Swift would wait for a key.
    let program = ([Program.chancery] + arguments).map { "'\($0)'" }.joined(separator: " ")
    // tmux has a name for what it emulates; a test may say something else.
    let type = terminal.map { "TERM='\($0)'; export TERM; " } ?? ""
    let script = """
      trap : INT; cd '\(directory.path)'; stty -g > before
      \(type)sh -c 'echo $$ > pid; exec "$@"' sh \(program)
      echo $? > status; stty -g > after; exec tail -f /dev/null
      """
    // The server runs here and not as a daemon, so that it ends with the tests.
    let server = try await ServerProcess(
      ["tmux", "-S", session.socket, "-f", "/dev/null", "-D"], log: directory.appending(path: "tmux.log"),
      environment: [
        "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", "NO_COLOR": "", "SWIFT_BACKTRACE": "enable=no",
      ].merging(environment) { $1 }, deathSignal: SIGTERM)
    try await eventually("tmux takes commands") { try session.files().contains("tmux") }
    try await session.tmux("new-session", "-d", "-x", "\(width)", "-y", "\(height)", script)
    do {
      try await body(session)
    } catch {
      Issue.record("the screen at last: \((try? await session.screen()) ?? "none")")
      try await session.end(server)
      throw error
    }
    try await session.end(server)
  }

  private func end(_ server: ServerProcess) async throws {
    await server.signal(SIGTERM)
    _ = try await server.waitForExit(within: .seconds(30))
    try FileManager.default.removeItem(at: directory)
  }

  @discardableResult private func tmux(_ arguments: String...) async throws -> String {
    let outcome = try await Program.run("tmux", ["-S", socket] + arguments)
    try #require(outcome.status == 0, "tmux \(arguments): \(outcome.errors)")
    return outcome.output
  }

  /// What the screen shows.
  func screen() async throws -> String { try await tmux("capture-pane", "-p") }

  /// What the screen shows, with the escapes for how it looks.
  func styledScreen() async throws -> String { try await tmux("capture-pane", "-p", "-e") }

  /// Whether a program has the screen for itself, and whether the cursor is hidden.
  func isTaken() async throws -> Bool {
    try await tmux("display-message", "-p", "#{alternate_on}#{?cursor_flag,0,1}") == "11\n"
  }

  /// Presses keys, in the names that tmux has for them.
  func press(_ keys: String...) async throws {
    for key in keys { try await tmux("send-keys", key) }
  }

  func resize(_ width: Int, _ height: Int) async throws {
    try await tmux("resize-window", "-x", "\(width)", "-y", "\(height)")
  }

  /// Waits until the screen shows all of some texts.
  func shows(_ texts: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws {
    try await eventually("the screen shows \(texts)", sourceLocation: sourceLocation) {
      let screen = try await screen()
      return texts.allSatisfy { screen.contains($0) }
    }
  }

  /// The files in the working directory of the program.
  func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: directory.path) }

  func file(_ name: String) -> String? {
    guard let text = try? String(contentsOf: directory.appending(path: name), encoding: .utf8) else { return nil }
    return text.hasSuffix("\n") ? text : nil
  }

  private func pid() throws -> Int32 {
    try #require(file("pid").flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
  }

  func signal(_ number: Int32) throws { kill(try pid(), number) }

  /// Whether the program is stopped, as by Ctrl-Z.
  func isStopped() throws -> Bool {
    try String(contentsOfFile: "/proc/\(pid())/status", encoding: .utf8).contains("State:\tT")
  }

  /// Waits until the program has ended: its status, and the terminal must be as it was.
  func expectEnd(status: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    try await eventually("the program has ended", sourceLocation: sourceLocation) { file("after") != nil }
    #expect(file("status") == "\(status)\n", sourceLocation: sourceLocation)
    #expect(file("after") == file("before"), "settings of the terminal", sourceLocation: sourceLocation)
    let settings = try await tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}")
    #expect(settings == "0 1\n", "the first screen, and a cursor", sourceLocation: sourceLocation)
  }
}
