import Synchronization
import TimeAndChance

/// Which services of a server take calls. The server as a whole has the empty name and is there from the start, not
/// serving.
public final class HealthRegistry: Sendable {
  /// Whether a service takes calls.
  public enum Status: Sendable, Hashable {
    /// It does.
    case serving
    /// It does not, for instance because it is stopping or cannot reach its store.
    case notServing
  }

  private struct State {
    var statuses: [String: Status] = ["": .notServing]
    var watchers: [UInt64: (service: String, bell: Doorbell)] = [:]
    var nextToken: UInt64 = 0
    var isStopped = false
    var isEnding = false
  }

  private let state = Mutex(State())

  /// A registry that knows the server alone.
  public init() {}

  /// Sets the status of a service, which is made known by it; without a name, that of the server. After `stop`, nothing
  /// serves any more.
  public func set(_ status: Status, for service: String = "") {
    state.withLock { state in
      let status = state.isStopped ? .notServing : status
      guard state.statuses.updateValue(status, forKey: service) != status else { return }
      for watcher in state.watchers.values where watcher.service == service { watcher.bell.ring() }
    }
  }

  /// The status of a service; nil if it is not known.
  public func status(of service: String = "") -> Status? { state.withLock { $0.statuses[service] } }

  /// Nothing serves any more, for good.
  public func stop() {
    state.withLock { state in
      state.isStopped = true
      for service in state.statuses.keys { state.statuses[service] = .notServing }
      for watcher in state.watchers.values { watcher.bell.ring() }
    }
  }

  /// Ends all watches once they have told the newest status, and those that come later: the server is closing.
  public func endWatches() {
    state.withLock { state in
      state.isEnding = true
      for watcher in state.watchers.values { watcher.bell.ring() }
    }
  }

  /// What a watcher looks at each time its bell rings.
  func look(at service: String) -> (status: Status?, isEnding: Bool) {
    state.withLock { ($0.statuses[service], $0.isEnding) }
  }

  /// Rings `bell` whenever there is something new to see of `service`; `body` is lent that time.
  func watching<Result>(_ service: String, _ bell: Doorbell, _ body: () async throws -> Result) async rethrows -> Result
  {
    let token = state.withLock { state in
      state.nextToken += 1
      state.watchers[state.nextToken] = (service, bell)
      return state.nextToken
    }
    defer { state.withLock { $0.watchers[token] = nil } }
    return try await body()
  }
}
