import LoggerService
import RPC
import Schema
import Storage
import Synchronization
import Telemetry
import TestWorld
import Testing
import TimeAndChance

/// Events on their way to the store: in order and in groups, again while the store is away, never at the cost of a
/// reporter, and each one either stored or counted as dropped.
@Suite struct EventJournalTests {
  @Test func storedInOrderInGroups() throws {
    var options = LoggerOptions()
    options.eventGroup = 70
    try LoggerRig.run(options: options) { rig in
      try await rig.send((0..<1000).map { "e\($0)" })
      await rig.logger.flush()
      #expect(rig.store.events.map(\.name) == (0..<1000).map { "e\($0)" })
      #expect(rig.store.groupSizes.allSatisfy { $0 <= 70 })
      #expect(rig.observer.counter("chancery_logger_events_stored_total") == 1000)
    }
  }

  @Test func retriesWhileTheStoreIsAway() throws {
    let isAway = Atomic(true)
    let store = FallibleEventStore { _ in
      isAway.load(ordering: .relaxed) ? StorageError(.unavailable, "no connection") : nil
    }
    try withExtendedLifetime(isAway) {
      try LoggerRig.run(store: store) { rig in
        try await rig.send(["a", "b"])
        try await rig.pass(.seconds(60))
        #expect(store.events.isEmpty)
        // Backoff between 100 ms and 10 s: more than a few attempts, and far from a busy loop.
        #expect((6...60).contains(store.attempts))
        #expect(rig.observer.events == ["logger.store_failed"])
        isAway.store(false, ordering: .relaxed)
        try await rig.pass(.seconds(11))
        #expect(store.events.map(\.name) == ["a", "b"])
        #expect(rig.observer.counter("chancery_logger_store_failures_total") == Double(store.attempts - 1))
      }
    }
  }

  @Test func overflowIsCountedAndBlocksNobody() throws {
    let store = FallibleEventStore { _ in StorageError(.unavailable, "no connection") }
    var options = LoggerOptions()
    options.eventQueue = 100
    options.eventGroup = 10
    try LoggerRig.run(store: store, options: options) { rig in
      let before = rig.world.clock.elapsed
      try await rig.send((0..<1000).map { "e\($0)" })
      #expect(rig.world.clock.elapsed == before, "the reporter waits for nothing")
      try await rig.pass(.seconds(60))
      // A group of 10 may be in hand besides the queue.
      let dropped = rig.observer.counter("chancery_logger_events_dropped_total", ["reason": "overflow"])
      #expect((890...900).contains(dropped))
    }
  }

  @Test func queueIsBoundedInBytesToo() throws {
    let store = FallibleEventStore { _ in StorageError(.unavailable, "no connection") }
    var options = LoggerOptions()
    options.eventQueueBytes = 10_000
    options.eventGroup = 1
    try LoggerRig.run(store: store, options: options) { rig in
      try await rig.send((0..<100).map { "e\($0)" })
      #expect(rig.observer.counter("chancery_logger_events_dropped_total", ["reason": "overflow"]) > 40)
    }
  }

  @Test func anEventThatTheStoreRefusesTakesNoOtherWithIt() throws {
    let store = FallibleEventStore { events in
      events.contains { $0.name == "e17" } ? StorageError(.conflict, "no partition for that day") : nil
    }
    try LoggerRig.run(store: store) { rig in
      try await rig.send((0..<50).map { "e\($0)" })
      await rig.logger.flush()
      #expect(store.events.map(\.name) == (0..<50).filter { $0 != 17 }.map { "e\($0)" })
      #expect(rig.observer.counter("chancery_logger_events_dropped_total", ["reason": "refused"]) == 1)
    }
  }

  @Test func flushGivesUpInTimeAndWhatIsLeftIsCounted() throws {
    let store = FallibleEventStore { _ in StorageError(.unavailable, "no connection") }
    let observer = Mutex<RecordingObserver?>(nil)
    var options = LoggerOptions()
    options.eventGroup = 2
    // Two are in hand at the end, and one is in the queue.
    try LoggerRig.run(store: store, options: options) { rig in
      observer.withLock { $0 = rig.observer }
      try await rig.send(["a", "b", "c"])
      let before = rig.world.clock.elapsed
      await rig.logger.flush()
      #expect(rig.world.clock.elapsed - before == .seconds(5))
      #expect(rig.observer.events.contains("logger.flush_failed"))
    }
    let lost = observer.withLock { $0 }?.counter("chancery_logger_events_dropped_total", ["reason": "stopped"])
    #expect(lost == 3)
  }
}

extension LoggerRig {
  /// Reports events with these names, 100 a report, and says goodbye.
  fileprivate func send(_ names: [String]) async throws {
    _ = try await telemetry.report { writer in
      for start in stride(from: 0, to: names.count, by: 100) {
        let events = names[start..<min(start + 100, names.count)].map { event($0) }
        try await writer.write(.init(instance: instance("signer", "s-1", 1), events: events))
      }
    }
  }
}
