import LoggerService
import RPC
import Schema
import Synchronization
import TestWorld
import Testing
import TimeAndChance

/// Snapshots as a stream: at the interval asked for, the newest only, and at no cost in memory when nobody reads them.
@Suite struct WatchTests {
  @Test(arguments: [(0, 1000), (100, 100), (60_000, 60_000)] as [(UInt32, Int64)])
  func everyInterval(_ asked: UInt32, _ milliseconds: Int64) throws {
    try LoggerRig.run { rig in
      try await rig.metrics.watch(.init(intervalMs: asked)) { reader in
        for index in 0..<5 as Range<Int64> {
          let snapshot = try #require(try await reader.next())
          #expect(snapshot.atUs == LoggerRig.epoch + index * milliseconds * 1000)
        }
      }
    }
  }

  @Test(arguments: [1, 99, 60_001, .max] as [UInt32])
  func intervalOutOfRange(_ interval: UInt32) throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) {
        _ = try await rig.metrics.watch(.init(intervalMs: interval)) { try await $0.next() }
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains("\(interval)") == true)
    }
  }

  @Test func slowWatcherCostsABoundedNumberOfSnapshots() throws {
    try LoggerRig.run { rig in
      // About 40 KB a snapshot, so that the buffers on the way (256 KiB and 1 MiB) are full soon.
      let metrics = (0..<512).map { counter("n\($0)_total_of_something_with_a_long_name_for_a_metric", 1) }
      _ = try await rig.telemetry.report { writer in
        try await writer.write(.init(instance: instance("signer", "s-1", 1), metrics: metrics))
        try await rig.pass()
        try await rig.metrics.watch(.init(intervalMs: 100)) { reader in
          try await rig.pass(.seconds(600))
          let made = rig.clockReadings.count.load(ordering: .relaxed)
          #expect((10...60).contains(made), "6000 intervals have passed, \(made) snapshots were made")
          // What was made before is read first; then come new ones again.
          let resumed = LoggerRig.epoch + Int64(600_000_000)
          var behind = 0
          var newest: Int64 = 0
          while newest < resumed {
            newest = try #require(try await reader.next()).atUs
            behind += 1
          }
          #expect(behind <= made + 2)
          // What was missed is not made up for.
          let next = try #require(try await reader.next())
          #expect(next.atUs - newest == 100_000)
        }
      }
    }
  }

  @Test func aSnapshotIsMadeOnceForAllWhoWatch() throws {
    try LoggerRig.run { rig in
      try await withThrowingTaskGroup(of: [Int64].self) { group in
        for watcher in 0..<100 {
          group.addTask {
            // They come at any time.
            try await rig.pass(.milliseconds(7 * watcher))
            return try await rig.metrics.watch(.init(intervalMs: 100)) { reader in
              var times: [Int64] = []
              for _ in 0..<20 { times.append(try #require(try await reader.next()).atUs - LoggerRig.epoch) }
              return times
            }
          }
        }
        for try await times in group {
          for (earlier, later) in zip(times, times.dropFirst()) { #expect((1...100_000).contains(later - earlier)) }
          #expect(times.last! - times.first! > 1_800_000)
        }
      }
      // 700 ms until the last comes, and 2 s of its own.
      let made = rig.clockReadings.count.load(ordering: .relaxed)
      #expect(made <= 28, "\(made) snapshots were made for 2000 replies")
    }
  }

  @Test func goneWatcherEndsItsWork() throws {
    try LoggerRig.run { rig in
      try await rig.metrics.watch(.init(intervalMs: 100)) { _ = try await $0.next() }
      try await rig.pass()
      let made = rig.clockReadings.count.load(ordering: .relaxed)
      try await rig.pass(.seconds(60))
      #expect(rig.clockReadings.count.load(ordering: .relaxed) == made)
    }
  }

  @Test func drainEndsWatches() throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) {
        try await rig.metrics.watch(.init()) { reader in
          _ = try await reader.next()
          await rig.logger.drain()
          while try await reader.next() != nil {}
        }
      }
      #expect(error?.code == .unavailable)
      #expect(rig.world.clock.elapsed < .seconds(1))
    }
  }
}
