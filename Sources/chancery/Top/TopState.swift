import Dashboard
import Synchronization
import Terminal

/// What the dashboard knows, shared by the feeds that bring it and the screen that shows it. The screen takes a copy
/// and paints that, so that a terminal that is slow holds up nobody.
final class TopState: Sendable {
  /// Rung when something is new.
  let waker: Waker
  private let dashboard: Mutex<Dashboard>

  init(_ dashboard: Dashboard) throws {
    waker = try Waker()
    self.dashboard = Mutex(dashboard)
  }

  /// What is known and shown now.
  var current: Dashboard { dashboard.withLock { $0 } }

  /// Changes what is known.
  func change<Value: Sendable>(_ body: (inout Dashboard) -> Value) -> Value {
    defer { waker.wake() }
    return dashboard.withLock { body(&$0) }
  }
}
