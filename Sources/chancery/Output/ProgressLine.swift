import Synchronization
import TimeAndChance

/// Progress of something countable, on standard error: a bar that is redrawn on a terminal, a line every five seconds
/// elsewhere, nothing when quiet.
final class ProgressLine: Sendable {
  private struct State {
    var started: ContinuousClock.Instant
    var lastPrinted: ContinuousClock.Instant?
    var isOpen = false
  }

  private static let barWidth = 30
  private let title: String
  private let isQuiet: Bool
  private let state: Mutex<State>

  init(_ title: String, isQuiet: Bool = false) {
    self.title = title
    self.isQuiet = isQuiet
    state = Mutex(State(started: .now))
  }

  /// Shows how far it is; `total` 0 is unknown.
  func update(_ done: UInt64, of total: UInt64) {
    guard !isQuiet else { return }
    let now = ContinuousClock.now
    let text = state.withLock { state -> String? in
      let interval: Duration = StandardError.canRedraw ? .milliseconds(100) : .seconds(5)
      if let last = state.lastPrinted, last.duration(to: now) < interval, done != total || total == 0 { return nil }
      // The first line elsewhere than on a terminal would say nothing.
      if state.lastPrinted == nil, !StandardError.canRedraw, done < total || total == 0 {
        state.lastPrinted = now
        return nil
      }
      state.lastPrinted = now
      state.isOpen = true
      let line = Self.line(title, done, total, elapsed: state.started.duration(to: now).inSeconds)
      return StandardError.canRedraw ? "\r\u{1B}[K" + line : line + "\n"
    }
    if let text { StandardError.write(text) }
  }

  /// Leaves the last state on the screen.
  func finish() {
    let isOpen = state.withLock { state in
      defer { state.isOpen = false }
      return state.isOpen
    }
    if isOpen, StandardError.canRedraw { StandardError.write("\n") }
  }

  static func line(_ title: String, _ done: UInt64, _ total: UInt64, elapsed: Double) -> String {
    let rate = elapsed > 0 ? Double(done) / elapsed : 0
    var line = title.padded(to: 10)
    if total > 0 {
      let filled = Int(Double(barWidth) * Double(min(done, total)) / Double(total))
      line += " [" + String(repeating: "#", count: filled) + String(repeating: ".", count: barWidth - filled) + "]"
    }
    line += " \(done.grouped)" + (total > 0 ? "/\(total.grouped)" : "") + "  \(Int64(rate).grouped)/s"
    if total > done, rate > 0 { line += "  ETA " + (Double(total - done) / rate).text(digits: 1) + " s" }
    return line
  }
}
