import Domain
import LoggerService
import RPC
import RPCMemory
import Schema
import Storage
import Telemetry
import TestWorld
import Testing

/// The stream of reports over a network in memory: what it takes in, what it refuses, and what is known of a service
/// whose stream broke, ended, or was ended by Logger.
@Suite struct TelemetryEndpointTests {
  @Test func reportsAndGoodbye() throws {
    try LoggerRig.run { rig in
      let summary = try await rig.telemetry.report { writer in
        try await writer.write(.init(instance: instance("signer", "s-1", 1), metrics: [counter("n_total", 1)]))
        try await writer.write(.init(metrics: [counter("n_total", 4)], events: [event("a"), event("b")]))
        try await rig.pass(.seconds(2))
        let snapshot = try await rig.metrics.get(.init())
        #expect(snapshot.atUs == LoggerRig.epoch + 2_000_000)
        #expect(snapshot.services.map(\.connected) == [true])
        #expect(snapshot.services.map(\.ageMs) == [2000])
        #expect(snapshot.sum(of: "n_total") == 4)
      }
      #expect(summary == .init(reports: 2, events: 2))
      let snapshot = rig.logger.snapshot()
      #expect(snapshot.services.map(\.instance) == [.init(service: "signer")])
      #expect(snapshot.sum(of: "n_total") == 4)
      #expect(!snapshot.incomplete)
      #expect(rig.store.events.map(\.name) == ["a", "b"])
      let stored = try #require(rig.store.events.first)
      #expect(stored.service == "signer" && stored.instance == "s-1" && stored.level == .warning)
      #expect(stored.attributes == ["batch": "7"] && stored.at.rawValue == 1_700_000_000_000_000)
    }
  }

  @Test func firstReportMustSayWho() throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) {
        try await rig.telemetry.report { try await $0.write(.init(metrics: [counter("n_total", 1)])) }
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains("instance is missing") == true)
      #expect(rig.logger.snapshot().services.isEmpty)
      let refused = rig.observer.counter("chancery_logger_streams_refused_total", ["code": "INVALID_ARGUMENT"])
      #expect(refused == 1)
    }
  }

  @Test func brokenStreamIsNoGoodbye() throws {
    try LoggerRig.run { rig in
      await #expect(throws: RPCError.self) {
        _ = try await rig.telemetry.report { writer in
          try await writer.write(.init(instance: instance("signer", "s-1", 1), metrics: [counter("n_total", 3)]))
          try await rig.pass()
          rig.server.stop()
          try await rig.pass()
          try await writer.write(.init())
        }
      }
      let snapshot = rig.logger.snapshot()
      #expect(snapshot.services.map(\.connected) == [false])
      #expect(snapshot.incomplete)
      #expect(snapshot.sum(of: "n_total") == 3)
    }
  }

  @Test func cancelledCallIsNoGoodbye() throws {
    struct Enough: Error {}
    try LoggerRig.run { rig in
      await #expect(throws: Enough.self) {
        _ = try await rig.telemetry.report { writer in
          try await writer.write(.init(instance: instance("signer", "s-1", 1)))
          try await rig.pass()
          throw Enough()
        }
      }
      try await rig.pass()
      #expect(rig.logger.snapshot().incomplete)
    }
  }

  @Test func drainTakesWhatHasArrivedAndTellsTheReporter() throws {
    try LoggerRig.run { rig in
      let summary = try await rig.telemetry.report { writer in
        try await writer.write(.init(instance: instance("signer", "s-1", 1), events: [event("a")]))
        try await rig.pass()
        await rig.logger.drain()
        try await rig.pass()
        try await writer.write(.init(events: [event("too late")]))
      }
      #expect(summary == .init(reports: 1, events: 1))
      let error = await #expect(throws: RPCError.self) {
        try await rig.telemetry.report { try await $0.write(.init(instance: instance("signer", "s-1", 1))) }
      }
      #expect(error?.code == .unavailable)
    }
  }

  @Test func wildTimesAndLongTextsAreCutToWhatAStoreTakes() throws {
    try LoggerRig.run { rig in
      var wild = event("wild", at: .min)
      wild.level = .unrecognized(77)
      wild.message = String(repeating: "é", count: 4000)
      wild.attributes = (0..<100).map { .init(name: "k\($0)", value: String(repeating: "v", count: 1000)) }
      let sent = wild
      _ = try await rig.telemetry.report {
        try await $0.write(.init(instance: instance("signer", "s-1", 1), events: [sent]))
      }
      try await rig.pass()
      let stored = try #require(rig.store.events.first)
      #expect(stored.at.rawValue == LoggerRig.epoch)
      #expect(stored.level == .info)
      #expect(stored.message == String(repeating: "é", count: 2048))
      #expect(stored.attributes.count == 32)
      #expect(stored.attributes.values.allSatisfy { $0.utf8.count == 512 })
    }
  }
}
