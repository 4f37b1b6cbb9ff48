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
  /// Settings of the server that the sessions of `primary` and `replica` should have, for
  /// `PostgresConfiguration.sessionSettings`.
  ///
  /// Statements are planned once per session. A table that is nearly empty at that time, as after a migration, is best read
  /// from end to end, and the plan would be kept while the table grows.
  public static let sessionSettings = ["enable_seqscan": "off", "jit": "off"]

  let primary: PostgresPool
  let replica: PostgresPool?
  let random: any RandomSource
  let policy: BatchPolicy
  let limits: PostgresStorageLimits
  /// The mean payload of each source in bytes, as last seen, by which pages are cut.
  let payloadBytes = Mutex<[Int64: Int]>([:])

  /// Stores over `primary`. Payloads are read from `replica` where that knows the records of a batch; `random` jitters
  /// delays.
  public init(
    primary: PostgresPool, replica: PostgresPool? = nil, random: any RandomSource = SystemRandom(),
    policy: BatchPolicy = BatchPolicy(), limits: PostgresStorageLimits = PostgresStorageLimits()
  ) {
    self.primary = primary
    self.replica = replica
    self.random = random
    self.policy = policy
    self.limits = limits
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
