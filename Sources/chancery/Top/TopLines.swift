import Dashboard
import FoundationEssentials

/// Prints the dashboard's numbers where there is no screen: a line for every interval, or one alone.
struct TopLines: Sendable {
  let interval: Duration
  let once: Bool
  let format: TopCommand.Format

  /// Prints until the task is cancelled, or once. What cannot be had is told on standard error when that changes; who
  /// looks once, or has never seen anything, is told by a failure.
  func run(_ state: TopState) async throws {
    var told: [DashboardModel.Feed: String] = [:]
    var hasBegun = false
    while true {
      let model = state.current.model
      hasBegun = hasBegun || model.isComplete
      let problems = model.failedFeeds
      if !hasBegun || once, let (feed, reason) = problems.min(by: { $0.key.rawValue < $1.key.rawValue }) {
        throw CommandFailure(
          code: "dashboard_incomplete", message: "the \(feed.rawValue) cannot be had: \(reason)", isRetryable: true,
          hint: "'chancery health' says who does not serve ('chancery dev' starts a cluster)", exitCode: .server)
      }
      for (feed, reason) in problems where told[feed] != reason { StandardError.write("\(feed.rawValue): \(reason)\n") }
      told = problems
      if hasBegun {
        let report = model.report(at: .now, time: Date().text)
        StandardOutput.write(format == .jsonl ? JSONText.line(report) : report.line + "\n")
        if once { return }
      }
      try await Task.sleep(for: hasBegun ? interval : min(interval, .milliseconds(100)))
    }
  }
}
