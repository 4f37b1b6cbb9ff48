import Foundation
import LocalServers
import Testing

// Proves that keys go from least to most recently used, as seen from outside: `redis-cli MONITOR` shows one EVALSHA for each
// grant, and the keys granted and freed there, in that order, are those of an exact LRU; `key_leases` tells the same story.
@Suite("Keys are granted in the order of use")
struct GrantOrderTests {
  /// Fewer batches at a time than keys, and more: then callers wait in line.
  @Test(arguments: [2, 12]) func exactly(_ keys: Int) async throws {
    try await DevCluster.with(["--signers", "2"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "\(keys)")
      _ = try await cluster.json("records", "generate", "--count", "3000", "--size", "10")
      let log = cluster.directory.appending(path: "monitor.log")
      let monitor = try await ServerProcess(["redis-cli", "-s", try cluster.redisSocket(), "MONITOR"], log: log)
      try await eventually("the monitor watches") { try Data(contentsOf: log).count > 0 }
      let job = try await cluster.json("sign", "--batch-size", "50")
      #expect(job["signed"].number == 3000)
      // The last release is on its way when the job ends.
      let released = "SELECT count(*) FROM chancery.key_leases WHERE freed_sequence IS NOT NULL"
      try await eventually("all keys are back") { try await cluster.query(released) == ["60"] }
      await monitor.signal(SIGTERM)
      try await monitor.waitForExit(within: .seconds(10))

      let seen = try Trace(String(contentsOf: log, encoding: .utf8))
      #expect(seen.grants.count == 60)
      #expect(seen.grantingCalls == 60, "one EVALSHA for each grant")
      #expect(seen.inversions == [])
      let stored = try await cluster.query(
        "SELECT key_id FROM chancery.key_leases ORDER BY granted_generation, granted_sequence")
      #expect(stored.compactMap { Int($0) } == seen.grants)
      try await cluster.expectSoundness()
    }
  }
}

/// What MONITOR has shown of grants, and a model of exact LRU to compare with.
private struct Trace {
  private(set) var grants: [Int] = []
  /// EVALSHA calls in which a key was granted.
  private(set) var grantingCalls = 0
  /// Grants of a key that was not the least recently used of the free ones.
  private(set) var inversions: [String] = []

  init(_ log: String) {
    // Never used: by id, before all others.
    var free: [Int] = []
    var used: Set<Int> = []
    var isCounted = true
    /// Whether the last command asked for a free key: the next says which, if there was one.
    var picks = false
    for line in log.split(separator: "\n") {
      let words = line.split(separator: "\"").map(String.init).filter { $0 != " " }.dropFirst()
      guard let command = words.first else { continue }
      let arguments = Array(words.dropFirst())
      defer { picks = command == "ZPOPMIN" && arguments[0].hasSuffix(":free") }
      switch command {
      case "EVALSHA": isCounted = false
      case "HGET" where picks && arguments[0].hasSuffix(":keys"):
        guard let key = Int(arguments[1]) else { continue }
        grants.append(key)
        if !isCounted { grantingCalls += 1 }
        isCounted = true
        if let place = free.firstIndex(of: key) {
          // Some key that was never used may have gone before; then none is left.
          if place > 0 { inversions.append("key \(key), while \(free[0]) had waited longer") }
          free.remove(at: place)
        } else if used.contains(key) {
          inversions.append("key \(key), which was not free")
        } else if let greatest = used.max(), key < greatest {
          inversions.append("key \(key), after \(greatest) of those never used")
        }
        used.insert(key)
      case "ZADD" where arguments[0].hasSuffix(":free"): if let key = Int(arguments[2]) { free.append(key) }
      default: break
      }
    }
  }
}
