import PostgresDriver

/// Something that goes wrong with a cluster of real processes, and by what one sees that it did.
struct ChaosFault: Sendable {
  /// What goes wrong.
  enum Layer: String, Encodable, CaseIterable {
    case process, postgres, redis, network, clock, certificates, operation
  }

  /// Something that is seen of a fault, and counted.
  enum Effect: Sendable {
    /// An event in the log of any process.
    case event(String)
    /// Any of several events, under a name for them.
    case events(String, [String])
    /// By how many seconds the clock of a process was ahead of that of another, or behind it, in their logs.
    case clock(String, than: String)
    /// A text in what processes write whose names begin so.
    case text(String, by: String)
    /// What a query counts, under a name for it.
    case rows(String, String)

    /// A batch was given out again.
    static let givenOutAgain = rows(
      "batches given out again", "SELECT count(*) FROM chancery.batches WHERE attempt > 1")
    /// A lease that its holder did not end.
    static let leftBehind = rows(
      "leases left to expire",
      """
      SELECT (SELECT count(*) FROM chancery.key_leases WHERE outcome IN ('expired', 'superseded')) \
        + (SELECT count(*) FROM chancery.keys WHERE lease_until > '-infinity')
      """)
    /// A call of the database failed.
    static let databaseMissed = events(
      "calls of the database that failed",
      [
        "commit.retried", "coordinator.claim_failed", "coordinator.heartbeat_failed", "coordinator.plan_failed",
        "coordinator.end_failed", "batch.return_failed", "batch.unreadable", "grant.failed", "release.failed",
        "cache.failed",
      ])
    /// For how long nothing was stored, if that was longer than it ever is when nothing is wrong.
    static let stoodStill = rows(
      "milliseconds without a commit",
      """
      SELECT coalesce(max(gap) FILTER (WHERE gap > 250), 0)::bigint
      FROM (
        SELECT 1000 * extract(epoch FROM signed_at - lag(signed_at) OVER (ORDER BY signed_at)) AS gap
        FROM chancery.batches) x
      """)
    /// Batches signed, by the database's clock, long after others or before.
    static let jumped = rows(
      "seconds from the first commit to the last, by the database",
      """
      SELECT coalesce(max(s) FILTER (WHERE s > 1800), 0)::bigint
      FROM (SELECT extract(epoch FROM max(signed_at) - min(signed_at)) AS s FROM chancery.batches) x
      """)
    /// The job went on all the same.
    static let wentOn = rows(
      "batches signed", "SELECT count(*) FROM chancery.batches WHERE state = 'signed'")
    /// A cache that was filled again: 1 if it was, for a database that crashes skips numbers.
    static let rebuilt = rows(
      "the cache was rebuilt", "SELECT count(*) FROM chancery.generations WHERE generation > 1")

    var name: String {
      switch self {
      case .event(let name), .events(let name, _): name
      case .clock(let name, let other): "seconds between \(name) and \(other)"
      case .text(let text, let process): "\(process): \(text)"
      case .rows(let name, _): name
      }
    }

    func count(_ logs: ChaosLogs, _ url: String) async throws -> Int {
      switch self {
      case .event(let name): logs.count(event: name)
      case .events(_, let names): names.reduce(0) { $0 + logs.count(event: $1) }
      case .clock(let name, let other): logs.shift(of: name, from: other)
      case .text(let text, let process): logs.count(text, by: process)
      case .rows(_, let query): Int(try await SQL.query(query, on: url).int64(0, 0))
      }
    }
  }

  var name: String
  var layer: Layer
  /// What happens, for people.
  var about: String
  /// Each must be seen at least once.
  var effects: [Effect]
  /// Whether what was committed may be lost, which is then named.
  var losesCommits = false
  /// Whether it takes root.
  var needsRoot = false
  /// What the cluster must be like.
  var shape: @Sendable (inout ChaosCluster.Shape) -> Void = { _ in }
  /// Brings it about in mid-job, and ends it.
  var inflict: @Sendable (ChaosRun) async throws -> Void

  /// Longer than a lease lives without being renewed.
  static let longerThanLease = 12.0

  static let all = killed + stopped + processes + postgres + redis + network + clocks + operations

  /// A few of all kinds, for where there is no time for all.
  static let selection = all.filter {
    [
      "signer-stopped-signed", "coordinator-killed-stored", "postgres-failover-synchronous", "redis-failover-lagging",
      "network-partition-signer-coordinators", "rolling-restart",
    ].contains($0.name)
  }
}
