public import DedicatedThreads
public import PostgresDriver
public import Storage
import Synchronization
public import TimeAndChance

/// The real stores: all of them over one schema, of which each service uses those for which its role has the rights.
///
/// Every statement runs on a connection of a pool and is bounded in time. What loses a race in the database (a serialization
/// failure, a deadlock) is run again a few times before `unavailable` is thrown. All times that decide anything are those of
/// the server's clock.
///
/// Cancelling a call interrupts its statement: it throws `cancelled` if nothing was changed, and `outcomeUnknown` if that
/// could not be found out.
public final class PostgresDatabase: Sendable {
  /// Statements are planned once per session and the plan is kept while tables grow from nothing to millions of rows, or
  /// shrink back; what the planner knows of them is a minute old, and it guesses wrong about queues. Every statement is
  /// written to follow an index and to nest its loops, which is right at any size, so that is all that sessions may plan. An
  /// audit takes the others back.
  static let sessionSettings = [
    "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
    "jit": "off", "plan_cache_mode": "force_generic_plan",
  ]

  let primary: PostgresPool
  let replica: ReadReplica?
  let random: any RandomSource
  let policy: BatchPolicy
  let limits: PostgresStorageLimits
  /// The mean payload of each source in bytes, as last seen, by which pages are cut.
  let payloadBytes = Mutex<[Int64: Int]>([:])

  /// Stores over the database `primary`. Nothing is connected yet; `pool` bounds the connections to each server.
  ///
  /// Payloads are read from `replica` where that knows the records of a batch. `random` jitters delays.
  public init(
    primary: PostgresConfiguration, replica: PostgresConfiguration? = nil, pool: PoolLimits = PoolLimits(),
    random: any RandomSource = SystemRandom(), policy: BatchPolicy = BatchPolicy(),
    limits: PostgresStorageLimits = PostgresStorageLimits()
  ) {
    self.primary = Self.makePool(primary, pool, random)
    self.replica = replica.map { ReadReplica(Self.makePool($0, pool, random), random: random) }
    self.random = random
    self.policy = policy
    self.limits = limits
  }

  private static func makePool(
    _ configuration: PostgresConfiguration, _ limits: PoolLimits, _ random: any RandomSource
  ) -> PostgresPool {
    var configuration = configuration
    configuration.sessionSettings.merge(sessionSettings) { $1 }
    return PostgresPool(configuration, limits: limits) { random.next(in: 0...1.0.nextDown) }
  }

  /// The schema of the database.
  public var schema: PostgresSchema { PostgresSchema(primary) }

  /// What the connections to the primary do, and those to the replica if there is one.
  public var poolStatistics: (primary: PoolStatistics, replica: PoolStatistics?) {
    (primary.statistics, replica?.pool.statistics)
  }

  /// Returns if the primary answers and takes changes. Throws `unavailable`, also when it is a replica; `limit` bounds it.
  public func checkPrimary(limit: Duration) async throws(StorageError) {
    do {
      let statement = PostgresStatement("SELECT current_setting('transaction_read_only')::bool", isReadOnly: true)
      let result = try await primary.query(statement, deadline: .now + limit)
      guard try !result.bool(0, 0) else {
        throw StorageError(.unavailable, "the database takes no changes: it is a replica, or was made read-only")
      }
    } catch let error as StorageError {
      throw error
    } catch {
      throw StorageError(from: error)
    }
  }

  /// Closes all connections once what runs on them has ended; calls after that throw `unavailable`.
  public func close() async {
    await primary.close()
    await replica?.pool.close()
  }
}

/// Bounds of what the Postgres stores do.
public struct PostgresStorageLimits: Sendable, Hashable {
  /// How long a call may take in all, waiting for a connection included; an audit may take `audit`.
  public var call: Duration = .seconds(30)
  /// How long an audit may take.
  public var audit: Duration = .seconds(3600)
  /// How long a submission waits for transactions that were adding records when it came.
  public var writers: Duration = .seconds(20)
  /// How often a call is run again that has lost a race in the database.
  public var retries = 8
  /// How many batches are planned in one transaction.
  public var batchesPerWindow = 200
  /// How many records are planned in one transaction, but always one batch.
  public var recordsPerWindow = 200_000
  /// How many results are sent in one round trip.
  public var resultsPerRoundTrip = 64

  /// The defaults.
  public init() {}
}

extension PostgresDatabase: RecordStore, JobStore, KeyStore, EventStore, AuditStore {}
