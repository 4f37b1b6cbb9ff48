import DequeModule
import Domain
import Failpoints
import Schema
import Storage
import Synchronization
import Telemetry
import TimeAndChance

/// Takes events in at once and stores them in groups behind the reporters' backs, at least once and in order. What
/// comes while the queue is full is dropped and counted.
final class EventJournal: Sendable {
  private struct State {
    var events: Deque<StoredEvent> = []
    var bytes = 0
    /// The events that were taken out of the queue and are not stored yet.
    var inHand: [StoredEvent] = []
    /// Those who are told events as they come.
    var followers: [ObjectIdentifier: EventFollower] = [:]
    /// Opened when there is nothing to store.
    var idle: Latch?
  }

  private let store: any EventStore
  private let clock: any ServiceClock
  private let random: any RandomSource
  private let observer: any Observer
  private let options: LoggerOptions
  private let state = Mutex(State())
  private let bell = Doorbell()

  init(
    store: any EventStore, clock: any ServiceClock, random: any RandomSource, observer: any Observer,
    options: LoggerOptions
  ) {
    self.store = store
    self.clock = clock
    self.random = random
    self.observer = observer
    self.options = options
  }

  /// Queues events, and tells them to those who follow; returns at once.
  func add(_ events: [StoredEvent]) {
    let (dropped, skipped) = state.withLock { state in
      let skipped = state.followers.values.reduce(0) { $0 + $1.offer(events) }
      return (queue(events, &state), skipped)
    }
    if dropped > 0 { count(dropped, as: "overflow") }
    if skipped > 0 { observer.count("chancery_logger_events_skipped_total", by: Double(skipped)) }
    bell.ring()
  }

  /// Returns how many there was no room for.
  private func queue(_ events: [StoredEvent], _ state: inout State) -> Int {
    for (index, event) in events.enumerated() {
      let bytes = event.textBytes
      guard state.events.count < options.eventQueue, state.bytes + bytes <= options.eventQueueBytes else {
        return events.count - index
      }
      state.events.append(event)
      state.bytes += bytes
    }
    return 0
  }

  /// Begins to tell events that pass a filter; returns also those that are not stored yet. Nil if too many follow.
  func follow(_ filter: EventFilter) -> (follower: EventFollower, pending: [StoredEvent])? {
    state.withLock { state in
      guard state.followers.count < options.followers else { return nil }
      let follower = EventFollower(filter, limits: (options.followerQueue, options.followerQueueBytes))
      state.followers[ObjectIdentifier(follower)] = follower
      return (follower, (state.inHand + state.events).filter(filter.includes))
    }
  }

  func unfollow(_ follower: EventFollower) {
    state.withLock { $0.followers[ObjectIdentifier(follower)] = nil }
  }

  /// Stores events until the task is cancelled. What is then not stored is lost and counted.
  func run() async {
    while !Task.isCancelled {
      let group = takeGroup()
      if group.isEmpty {
        await bell.wait()
      } else {
        await store(group[...])
        state.withLock { $0.inHand = [] }
      }
    }
    let (lost, idle) = state.withLock { state in
      defer { (state.events, state.bytes, state.inHand, state.idle) = ([], 0, [], nil) }
      return (state.events.count, state.idle)
    }
    if lost > 0 { count(lost, as: "stopped") }
    idle?.open()
  }

  /// Waits until everything that was queued is stored. Needs `run`.
  func flush() async {
    let idle = state.withLock { state -> Latch? in
      if state.events.isEmpty && state.inHand.isEmpty { return nil }
      if state.idle == nil { state.idle = Latch() }
      return state.idle
    }
    await idle?.wait()
  }

  private func takeGroup() -> [StoredEvent] {
    let (group, idle) = state.withLock { state -> ([StoredEvent], Latch?) in
      let group = Array(state.events.prefix(options.eventGroup))
      state.events.removeFirst(group.count)
      state.bytes -= group.reduce(0) { $0 + $1.textBytes }
      state.inHand = group
      guard group.isEmpty else { return (group, nil) }
      defer { state.idle = nil }
      return (group, state.idle)
    }
    idle?.open()
    return group
  }

  /// Stores a group, trying again as long as the store is away. A store that takes events all or none and refuses these
  /// for what they are gets the halves, so that one event that it cannot store takes no other with it.
  private func store(_ group: ArraySlice<StoredEvent>) async {
    var attempt = 0
    while true {
      do throws(StorageError) {
        try await store.append(Array(group))
        Failpoint.loggerStored.pass()
        return observer.count("chancery_logger_events_stored_total", by: Double(group.count))
      } catch {
        if Task.isCancelled { return count(group.count, as: "stopped") }
        if error.isAboutEvents {
          guard group.count > 1 else { return count(1, as: "refused") }
          let middle = group.startIndex + group.count / 2
          await store(group[..<middle])
          return await store(group[middle...])
        }
        if attempt == 0 {
          observer.event(.warning, "logger.store_failed", "events wait, storing them failed: \(error)", [:])
        }
        observer.count("chancery_logger_store_failures_total")
        // Ends early only when the task is cancelled, and then the next attempt fails.
        try? await clock.sleep(for: options.storeBackoff.delay(attempt: attempt, random: random))
        attempt += 1
      }
    }
  }

  private func count(_ dropped: Int, as reason: String) {
    observer.count("chancery_logger_events_dropped_total", ["reason": reason], by: Double(dropped))
  }
}

extension StorageError {
  /// Whether the store refuses what it was given, rather than being unable to store anything.
  fileprivate var isAboutEvents: Bool {
    switch code {
    case .unavailable, .outcomeUnknown, .cancelled, .schemaMismatch: false
    default: true
    }
  }
}

extension StoredEvent {
  /// What it holds, about.
  var textBytes: Int {
    attributes.reduce(128 + name.utf8.count + message.utf8.count) { $0 + 64 + $1.key.utf8.count + $1.value.utf8.count }
  }
}
