import DequeModule
import Storage
import Synchronization
import TimeAndChance

/// The events that one who follows is yet to be told: no more than a bound, beyond which the oldest are left out and counted.
final class EventFollower: Sendable {
  private struct State {
    var events: Deque<StoredEvent> = []
    var bytes = 0
    var skipped: UInt64 = 0
  }

  private let filter: EventFilter
  private let limits: (events: Int, bytes: Int)
  private let state = Mutex(State())
  /// Rings when there may be something to tell.
  let bell = Doorbell()

  init(_ filter: EventFilter, limits: (events: Int, bytes: Int)) {
    (self.filter, self.limits) = (filter, limits)
  }

  /// Queues those that pass the filter; returns how many older ones were left out for them.
  func offer(_ events: [StoredEvent]) -> Int {
    let passing = events.filter(filter.includes)
    if passing.isEmpty { return 0 }
    let skipped = state.withLock { state in
      var skipped = 0
      for event in passing {
        state.events.append(event)
        state.bytes += event.textBytes
        while state.events.count > limits.events || state.bytes > limits.bytes, let oldest = state.events.popFirst() {
          state.bytes -= oldest.textBytes
          skipped += 1
        }
      }
      state.skipped += UInt64(skipped)
      return skipped
    }
    bell.ring()
    return skipped
  }

  /// The oldest events, at most `limit`, and how many were left out just before them.
  func take(_ limit: Int) -> (events: [StoredEvent], skipped: UInt64) {
    state.withLock { state in
      let events = Array(state.events.prefix(limit))
      state.events.removeFirst(events.count)
      state.bytes -= events.reduce(0) { $0 + $1.textBytes }
      defer { state.skipped = 0 }
      return (events, state.skipped)
    }
  }
}
