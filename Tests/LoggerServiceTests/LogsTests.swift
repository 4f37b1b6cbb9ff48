import LoggerService
import RPC
import Schema
import Storage
import Synchronization
import Telemetry
import TestWorld
import Testing
import TimeAndChance

/// Events are found again page by page, and followed as they come: each once, whether it is stored yet or not, and no follower
/// who is behind costs more than a bounded queue. Old ones are dropped in time.
@Suite struct LogsTests {
  // MARK: - Asking

  @Test func pagesInBothOrders() throws {
    try LoggerRig.run { rig in
      try await rig.tell((0..<25).map { "e\($0)" })
      await rig.logger.flush()
      for oldestFirst in [true, false] {
        var names: [String] = []
        var token = ""
        repeat {
          let page = try await rig.logs.query(.init(oldestFirst: oldestFirst, pageSize: 10, pageToken: token))
          names += page.events.compactMap(\.event?.name)
          token = page.nextPageToken
        } while !token.isEmpty
        let wanted = (0..<25).map { "e\($0)" }
        #expect(names == (oldestFirst ? wanted : wanted.reversed()))
      }
      let all = try await rig.logs.query(.init())
      #expect(all.events.count == 25 && all.nextPageToken.isEmpty)
      #expect(all.events.last == .init(event: event("e0"), service: "signer", instance: "s-1"))
    }
  }

  @Test func aPageIsBoundedInBytes() throws {
    try LoggerRig.run { rig in
      var large = event("large")
      large.message = String(repeating: "x", count: 4096)
      large.attributes = (0..<32).map {
        .init(name: "name-\($0)", value: String(repeating: "v", count: 512))
      }
      try await rig.tell(Array(repeating: large, count: 300))
      await rig.logger.flush()
      let page = try await rig.logs.query(.init(pageSize: 300))
      #expect((50..<200).contains(page.events.count))
      #expect(!page.nextPageToken.isEmpty)
      let bytes = try page.protobufBytes()
      #expect(bytes.count < 3 << 20)
    }
  }

  @Test(
    arguments: [
      (.init(pageSize: 1001), "1001"), (.init(pageToken: "7"), "'7'"), (.init(pageToken: "x.1"), "'x.1'"),
      (.init(filter: .init(sinceUs: -1)), "-1"), (.init(filter: .init(sinceUs: 5, untilUs: 4)), "until_us 4"),
      (.init(filter: .init(untilUs: .max)), "until_us"),
      (.init(filter: .init(services: Array(repeating: "s", count: 17))), "16"),
      (.init(filter: .init(text: String(repeating: "t", count: 513))), "512"),
      (.init(filter: .init(attributes: [.init(name: "a", value: "1"), .init(name: "a", value: "2")])), "'a'"),
    ] as [(ChanceryV1.QueryLogsRequest, String)])
  func queriesAreChecked(_ request: ChanceryV1.QueryLogsRequest, _ complaint: String) throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) { _ = try await rig.logs.query(request) }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains(complaint) == true, "\(error?.message ?? "")")
    }
  }

  @Test func aStoreThatIsAwayIsUnavailable() throws {
    let store = FallibleEventStore { _ in StorageError(.unavailable, "no connection") }
    try LoggerRig.run(store: store) { rig in
      let error = await #expect(throws: RPCError.self) { _ = try await rig.logs.query(.init()) }
      #expect(error?.code == .unavailable)
    }
  }

  // MARK: - Following

  @Test func theLastAndThenAllThatCome() throws {
    try LoggerRig.run { rig in
      try await rig.tell((0..<10).map { "e\($0)" })
      await rig.logger.flush()
      try await rig.logs.tail(.init(last: 3)) { reader in
        try await reader.expect(["e7", "e8", "e9"])
        try await rig.tell(["f0", "f1"])
        try await reader.expect(["f0", "f1"])
      }
    }
  }

  @Test func withoutTheLastOnlyWhatComes() throws {
    try LoggerRig.run { rig in
      try await rig.tell(["e0"])
      try await rig.logs.tail(.init(filter: .init(name: "f"))) { reader in
        try await rig.pass()
        try await rig.tell(["e1", "f", "e2"])
        try await reader.expect(["f"])
      }
    }
  }

  /// What is on its way to the store when somebody begins to follow is told, and once.
  @Test(arguments: [0, 5, 20])
  func nothingFallsBetweenStoredAndFollowed(storedAfter milliseconds: Int) throws {
    let clock = Mutex<(any ServiceClock)?>(nil)
    let store = FallibleEventStore { _ in
      let clock = clock.withLock { $0 }
      try? await clock?.sleep(for: .milliseconds(milliseconds))
      return nil
    }
    try withExtendedLifetime(clock) {
      try LoggerRig.run(store: store) { rig in
        clock.withLock { $0 = rig.world.clock }
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            for number in 0..<30 {
              // Each is another event: the same one twice would be taken for one.
              try await rig.tell([event("e\(number)", at: 1_700_000_000_000_000 + Int64(number))])
              try await rig.pass(.milliseconds(1))
            }
          }
          group.addTask {
            try await rig.pass(.milliseconds(10))
            try await rig.logs.tail(.init(last: 1000)) { reader in
              try await reader.expect((0..<30).map { "e\($0)" })
            }
          }
          try await group.waitForAll()
        }
      }
    }
  }

  @Test func whileTheStoreIsAwayEventsAreToldAllTheSame() throws {
    let store = FallibleEventStore { events in events.isEmpty ? nil : StorageError(.unavailable, "no connection") }
    try LoggerRig.run(store: store) { rig in
      try await rig.tell(["e0"])
      try await rig.logs.tail(.init(last: 10)) { reader in
        try await reader.expect(["e0"])
        try await rig.tell(["e1"])
        try await reader.expect(["e1"])
      }
    }
  }

  @Test func whoIsBehindMissesTheOldestAndIsTold() throws {
    var options = LoggerOptions()
    options.followerQueue = 50
    try LoggerRig.run(options: options) { rig in
      try await rig.logs.tail(.init()) { reader in
        try await rig.pass()
        var told = 0
        // The buffers on the way are full at some time: nobody reads.
        while rig.observer.counter("chancery_logger_events_skipped_total") == 0 {
          try await rig.tell((told..<told + 100).map { "e\($0)" })
          told += 100
          try await rig.pass()
        }
        var next = 0
        var skipped: UInt64 = 0
        while next < told {
          let reply = try #require(try await reader.next())
          next += Int(reply.skipped)
          skipped += reply.skipped
          for logged in reply.events {
            #expect(logged.event?.name == "e\(next)")
            next += 1
          }
        }
        #expect(next == told)
        #expect(Double(skipped) == rig.observer.counter("chancery_logger_events_skipped_total"))
      }
    }
  }

  @Test func followersAreBoundedAndLeaveRoomWhenTheyGo() throws {
    var options = LoggerOptions()
    options.followers = 1
    try LoggerRig.run(options: options) { rig in
      for _ in 0..<2 {
        try await rig.logs.tail(.init()) { reader in
          try await rig.pass()
          let error = await #expect(throws: RPCError.self) {
            _ = try await rig.logs.tail(.init()) { try await $0.next() }
          }
          #expect(error?.code == .resourceExhausted)
          try await rig.tell(["e"])
          try await reader.expect(["e"])
        }
        try await rig.pass()
      }
    }
  }

  @Test(
    arguments: [(.init(last: 1001), "1001"), (.init(filter: .init(untilUs: 1)), "until_us")]
      as [(ChanceryV1.TailLogsRequest, String)])
  func tailsAreChecked(_ request: ChanceryV1.TailLogsRequest, _ complaint: String) throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) { _ = try await rig.logs.tail(request) { try await $0.next() } }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains(complaint) == true)
    }
  }

  @Test func drainEndsTails() throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) {
        try await rig.logs.tail(.init()) { reader in
          try await rig.pass()
          await rig.logger.drain()
          while try await reader.next() != nil {}
        }
      }
      #expect(error?.code == .unavailable)
    }
  }

  // MARK: - Dropping old ones

  @Test func oldDaysAreDroppedEveryHour() throws {
    var options = LoggerOptions()
    options.retentionDays = 7
    let store = FallibleEventStore(retention: { .success(2) })
    try LoggerRig.run(store: store, options: options) { rig in
      try await rig.pass(.seconds(3 * 3600 + 1))
      #expect(store.retentions == [7, 7, 7, 7])
      #expect(rig.observer.counter("chancery_logger_event_partitions_dropped_total") == 8)
      #expect(rig.observer.events == Array(repeating: "events.expired", count: 4))
    }
  }

  @Test func aStoreThatCannotDropThemIsAskedAgainSoon() throws {
    let isAway = Atomic(true)
    let store = FallibleEventStore(retention: {
      isAway.load(ordering: .relaxed) ? .failure(StorageError(.unavailable, "no connection")) : .success(0)
    })
    try withExtendedLifetime(isAway) {
      try LoggerRig.run(store: store) { rig in
        try await rig.pass(.seconds(60))
        #expect((6...60).contains(store.retentions.count))
        #expect(rig.observer.events == ["logger.retention_failed"])
        isAway.store(false, ordering: .relaxed)
        try await rig.pass(.seconds(60))
        let asked = store.retentions.count
        try await rig.pass(.seconds(3000))
        #expect(store.retentions.count == asked)
      }
    }
  }
}

extension LoggerRig {
  fileprivate var logs: ChanceryV1.Logs.Client { ChanceryV1.Logs.Client(channel) }

  fileprivate func tell(_ names: [String]) async throws { try await tell(names.map { event($0) }) }

  fileprivate func tell(_ events: [ChanceryV1.Event]) async throws {
    _ = try await telemetry.report { writer in
      for start in stride(from: 0, to: events.count, by: 50) {
        try await writer.write(
          .init(instance: instance("signer", "s-1", 1), events: Array(events[start..<min(start + 50, events.count)])))
      }
    }
  }
}

extension RPCReader<ChanceryV1.TailLogsResponse> {
  /// The next events have these names, and none was left out.
  fileprivate func expect(_ wanted: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
    var names: [String] = []
    while names.count < wanted.count {
      let reply = try #require(try await next())
      #expect(reply.skipped == 0, sourceLocation: sourceLocation)
      names += reply.events.compactMap(\.event?.name)
    }
    #expect(names == wanted, sourceLocation: sourceLocation)
  }
}
