public import Domain
import Foundation
public import Storage
public import Testing
import TimeAndChance

/// All stores of one implementation, over the same data.
public typealias AllStores = AuditStore & EventStore & JobStore & KeyStore & RecordStore

/// An implementation under test, with a fresh and empty database, and the means to do to it what its callers cannot.
///
/// Its batches come back under `ConformanceCase.policy`. The cases deal in minutes, so that it does not matter how long they
/// take themselves on a store whose clock goes on.
public protocol StorageHarness: Sendable {
  /// What is tested.
  var store: any AllStores { get }

  /// Lets time pass for the store.
  func advance(by duration: Duration) async throws

  /// Maps a table with these rows as a source.
  func addSource(named name: String, rows: [SourceRow]) async throws -> Source

  /// Replaces the rows of a mapped table, as its owner may.
  func replaceRows(of source: Source, with rows: [SourceRow]) async throws

  /// Damages what is stored, so that an audit has something to find.
  func inflict(_ damage: Damage) async throws
}

extension Timestamp {
  /// About when the tests began: the time of a store whose clock cannot be set is a little later.
  public static let testStart = Timestamp(rawValue: Int64(Date().timeIntervalSince1970 * 1_000_000))
}

/// A row of a mapped table.
public struct SourceRow: Sendable, Hashable {
  /// Its id.
  public var id: Int64
  /// Its payload.
  public var payload: [UInt8]

  /// Makes a row.
  public init(id: Int64, payload: [UInt8]) {
    self.id = id
    self.payload = payload
  }
}

/// A breach of a guarantee, made behind the store's back.
public enum Damage: Sendable, Hashable {
  /// The record of the built-in source loses its signature.
  case lostSignature(RecordID)
  /// The record has a second signature.
  case secondSignature(RecordID)
  /// The signature of the record names another key.
  case foreignSignature(RecordID, KeyID)
  /// The batch says that it was signed under this lease, which does not exist.
  case unknownLease(JobID, seq: Int32, LeaseID)
  /// The batch says that it was signed just now.
  case lateCommit(JobID, seq: Int32)
  /// The batch counts so many records as signed.
  case wrongCount(JobID, seq: Int32, inserted: Int)
  /// The job has this batch size from now on.
  case batchSize(JobID, Int)
}

/// One test that every implementation passes.
public struct ConformanceCase: Sendable, CustomTestStringConvertible {
  /// What it shows.
  public let name: String
  /// Runs it on a fresh database.
  public let run: @Sendable (any StorageHarness) async throws -> Void

  init(_ name: String, _ run: @escaping @Sendable (Scene) async throws -> Void) {
    self.name = name
    self.run = { harness in try await run(Scene(harness)) }
  }

  /// The name.
  public var testDescription: String { name }

  /// The policy of the stores under test: batches that failed wait one to ten minutes.
  public static let policy = BatchPolicy(backoff: Backoff(initial: .seconds(60), maximum: .seconds(600)))

  /// All of them.
  public static var all: [ConformanceCase] {
    records + sources + forms + statuses + exports + submissions + jobStates + planning + claims + returns
      + coordinators
      + commits + refusals + keys + leases + generations + events + audits + leastRecentlyUsed
  }
}
