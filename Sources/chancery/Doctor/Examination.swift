/// What was found about one thing.
struct Finding: TableRow {
  enum Result: String, Encodable {
    case ok
    /// Works, and will not for ever, or not under load.
    case warning
    case failed
    /// Nobody looked.
    case skipped
  }

  /// What was looked at, such as `database-schema`.
  var check: String
  var result: Result
  /// What was seen.
  var seen: String
  /// How to mend it, or how to have it looked at; nil if all is well.
  var remedy: String?

  static let columns = [
    TableColumn("CHECK"), TableColumn("RESULT", isState: true), TableColumn("SEEN"), TableColumn("REMEDY"),
  ]
  var resourceName: String { "check/\(check)" }

  var cells: [String] { [check, result.rawValue, seen, remedy ?? ""] }
}

/// Checks that are made one after another, such as all of one server.
struct Examination: Sendable {
  /// Their names, in the order in which they are made.
  var checks: [String]
  /// Makes them; those that it says nothing about were not reached.
  var body: @Sendable () async -> [Finding]

  /// Checks that cannot be made.
  static func skipped(_ checks: [String], _ reason: String, remedy: String) -> Examination {
    Examination(checks: checks) {
      checks.map { Finding(check: $0, result: .skipped, seen: reason, remedy: remedy) }
    }
  }

  /// A finding for each check, within a time limit. What does not heed its cancellation by then, such as the resolver of
  /// names, is left alone.
  func run(within limit: Duration) async -> [Finding] {
    let (outcomes, outcome) = AsyncStream<[Finding]>.makeStream(bufferingPolicy: .bufferingOldest(1))
    let work = Task { outcome.yield(await body()) }
    let alarm = Task {
      try await ContinuousClock().sleep(for: limit)
      outcome.yield([
        Finding(
          check: checks[0], result: .failed, seen: "no answer within \(limit)",
          remedy: "look whether the network, or a disk, hangs; --timeout gives more time")
      ])
    }
    defer {
      work.cancel()
      alarm.cancel()
    }
    // There is one, unless this task is cancelled.
    let found = await outcomes.first { _ in true } ?? []
    return checks.map { check in
      found.first { $0.check == check }
        ?? Finding(check: check, result: .skipped, seen: "not reached: \(found.last?.check ?? checks[0]) comes first")
    }
  }
}
