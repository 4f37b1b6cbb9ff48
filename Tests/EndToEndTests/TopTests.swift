import Foundation
import Testing

// Proves on a cluster of real processes, in a terminal that tmux emulates, that the dashboard shows a live job, obeys
// its keys, lives through changes of the window and the loss of Logger, and leaves the terminal as it was however it
// ends; that it prints lines where there is no screen; and that its numbers are those of Logger, of /metrics and of
// the database.
@Suite("The dashboard shows what goes on")
struct TopTests {
  private static let sizes = [(80, 24), (120, 40), (50, 12)]

  /// Signs in a cluster with small batches, so that the job lives for as long as it is looked at.
  private func withLiveJob(_ body: (DevCluster, String) async throws -> Void) async throws {
    try await DevCluster.with(["--signers", "2"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "4", "--label", "blue")
      _ = try await cluster.json("records", "generate", "--count", "10000", "--size", "32")
      let job = try await cluster.json("jobs", "submit", "--batch-size", "1")
      try await body(cluster, try #require(job["job_id"].text))
    }
  }

  @Test func aLiveJobIsFollowed() async throws {
    try await withLiveJob { cluster, job in
      try await TerminalSession.with(["top"], width: 80, height: 24, environment: try cluster.addresses()) { terminal in
        try await terminal.shows(
          job, "running", "live", "Signers (2)", "working", "Keys (4", "Leases", "Failures", "Times")
        #expect(try await terminal.isTaken())
        for (width, height) in Self.sizes {
          try await terminal.resize(width, height)
          try await eventually("the frame fits \(width) by \(height)") {
            let lines = try await terminal.screen().split(separator: "\n", omittingEmptySubsequences: false)
            guard let first = lines.first, lines.count > height else { return false }
            return first.hasPrefix(" chancery top") && first.trimmingCharacters(in: .whitespaces).hasSuffix("live")
              && first.count > width - 3 && lines[height - 1].contains("1 Overview")
          }
          try await terminal.shows(String(job.prefix(8)), "running", "signatures", "key wait")
        }
        try await terminal.resize(80, 24)
        try await terminal.press("2")
        try await terminal.shows("sort: newest", job, "REC/S")
        try await terminal.press("Enter")
        try await terminal.shows("batch size", "priority")
        try await terminal.press("Escape", "3")
        try await terminal.shows("signer-1", "signer-2", "FLIGHT", "sort: name")
        try await terminal.press("s")
        try await terminal.shows("sort: rate")
        try await terminal.press("4", "/", "b", "l", "u", "e", "Enter")
        try await terminal.shows("filter: blue", "ecdsa-p256")
        try await terminal.press("G", "Enter")
        try await terminal.shows("uses (its epoch)", "key               4")
        try await terminal.press("Escape", "5")
        try await terminal.shows("stale commits refused", "postgres: commit")
        try await terminal.press("?")
        try await terminal.shows("write the screen to a file")
        try await terminal.press("x", "Tab", "w")
        try await terminal.shows("written to chancery-top-")
        let file = try #require(try terminal.files().first { $0.hasPrefix("chancery-top-") })
        let dumped = try #require(terminal.file(file))
        #expect(dumped.contains(job))
        try await terminal.press("p")
        try await terminal.shows("PAUSED")
        try await terminal.press("p")
        try await terminal.shows("live")
        try await terminal.press("q")
        try await terminal.expectEnd(status: 0)
      }
    }
  }

  @Test func aLoggerThatRestartsIsWaitedFor() async throws {
    try await withLiveJob { cluster, _ in
      try await TerminalSession.with(["top"], width: 120, height: 40, environment: try cluster.addresses()) {
        terminal in
        try await terminal.shows("live", "Signers (2)")
        let logger = try cluster.pid(of: "logger")
        kill(logger, SIGSTOP)
        try await terminal.shows("stale 4 s")
        kill(logger, SIGKILL)
        try await terminal.shows("metrics: ")
        try await eventually("the metrics are back") {
          let screen = try await terminal.screen()
          return screen.contains(" live") && screen.contains("Signers (2)") && !screen.contains("metrics: ")
        }
        try await terminal.press("q")
        try await terminal.expectEnd(status: 0)
      }
    }
  }

  /// However it ends, even by a crash, and while it is stopped, the terminal is as it was.
  @Test(arguments: [SIGINT, SIGTERM, SIGSEGV, SIGABRT, SIGQUIT])
  func theTerminalIsLeftAsItWas(signal: Int32) async throws {
    let cluster = try await DevCluster.shared.value
    try await TerminalSession.with(["top"], width: 80, height: 24, environment: try cluster.addresses()) { terminal in
      try await terminal.shows("live")
      try terminal.signal(SIGTSTP)
      try await eventually("it has stopped") { try terminal.isStopped() }
      try await eventually("the screen is given back") { try await !terminal.isTaken() }
      try terminal.signal(SIGCONT)
      try await eventually("the screen is taken again") { try await terminal.isTaken() }
      try await terminal.shows("live")
      try terminal.signal(signal)
      try await terminal.expectEnd(status: [SIGINT, SIGTERM].contains(signal) ? 130 : 128 + Int(signal))
    }
  }

  @Test func looksFollowTheTerminal() async throws {
    let cluster = try await DevCluster.shared.value
    for (name, value, isColoured, isUTF8) in [
      ("COLORTERM", "", true, true), ("NO_COLOR", "1", false, true), ("LC_ALL", "C", true, false),
    ] {
      let environment = try cluster.addresses().merging([name: value]) { $1 }
      let type = "screen-256color"
      try await TerminalSession.with(["top"], width: 80, height: 24, environment: environment, terminal: type) {
        terminal in
        try await terminal.shows("live", "Signers (1)")
        let screen = try await terminal.styledScreen()
        #expect(screen.contains("36m") == isColoured, "\(name)=\(value): \(screen)")
        #expect(screen.contains("─") == isUTF8, "\(name)=\(value)")
        try await terminal.press("q")
        try await terminal.expectEnd(status: 0)
      }
    }
  }

  @Test func aTerminalWithoutAScreenGetsLines() async throws {
    let cluster = try await DevCluster.shared.value
    for type in ["dumb", "no-such-terminal"] {
      let command = ["top", "--interval", "0.2"]
      let addresses = try cluster.addresses()
      try await TerminalSession.with(command, width: 120, height: 24, environment: addresses, terminal: type) {
        terminal in
        try await terminal.shows("no screen, lines instead: the terminal type '\(type)'", "signatures", "signers")
        #expect(try await !terminal.isTaken())
        try await terminal.press("C-c")
        try await terminal.expectEnd(status: 130)
      }
    }
  }

  /// What the dashboard says at the end of a job is what Logger and the services' own pages say and what the database has.
  @Test func numbersAgree() async throws {
    try await DevCluster.with(["--signers", "2"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "4")
      _ = try await cluster.json("records", "generate", "--count", "3000", "--size", "32")
      let job = try await cluster.json("sign", "--batch-size", "100")
      let counted = try await cluster.query("SELECT count(*) FROM chancery.signatures").first
      let rows = try #require(counted.flatMap { Int($0) })
      #expect(rows == 3000)
      // Services report every second or so.
      try await eventually("the dashboard has seen all") { try await look(cluster)["signatures"].number == rows }
      let report = try await look(cluster)
      #expect(report["signers"].list.compactMap { $0["signed"].number }.reduce(0, +) == rows)
      let shown = try #require(report["jobs"].list.first)
      #expect(shown["job_id"].text == job["job_id"].text && shown["signed"].number == rows)
      let metrics = try await cluster.json("call", "Metrics/Get")
      let stored = metrics["services"].list.flatMap { $0["metrics"].list }
        .filter { $0["name"].text == "chancery_signatures_stored_total" }.compactMap { $0["value"].number }
      #expect(stored.reduce(0, +) == rows)
      #expect(Int(try Exposition(cluster, "coordinator-1").sum("chancery_signatures_stored_total")) == rows)
      let signed = try ["signer-1", "signer-2"].map { try Exposition(cluster, $0).sum("chancery_records_signed_total") }
      #expect(Int(signed.reduce(0, +)) == rows)
    }
  }

  private func look(_ cluster: DevCluster) async throws -> JSON {
    let outcome = try await cluster.run("top", "--once", "-o", "jsonl", "--interval", "0.2")
    #expect(outcome.status == 0 && outcome.output.split(separator: "\n").count == 1, "\(outcome.errors)")
    return try outcome.json()
  }

  @Test func whatIsWrongIsSaid() async throws {
    let nobody = try await Program.run(
      Program.chancery,
      ["top", "--logger", "127.0.0.1:1", "--coordinator", "127.0.0.1:1", "--keykeeper", "127.0.0.1:1"])
    #expect(nobody.status == 2 && nobody.output.isEmpty, "\(nobody.errors)")
    #expect(nobody.errors.contains("cannot be had: UNAVAILABLE") && nobody.errors.contains("chancery health"))
    for interval in ["0", "61", "nan", "x"] {
      let refused = try await Program.run(Program.chancery, ["top", "--interval", interval])
      #expect(refused.status == 64 && refused.errors.contains("interval"), "\(interval): \(refused.errors)")
    }
  }
}
