public import Storage
import Synchronization

/// Keeps events in memory, and fails when a test says so.
public final class FallibleEventStore: EventStore {
  private struct State {
    var groups: [[StoredEvent]] = []
    var attempts = 0
  }

  private let failure: @Sendable ([StoredEvent]) async -> StorageError?
  private let state = Mutex(State())

  /// A store that asks `failure` before it takes events, and fails with the error it returns.
  public init(failure: @escaping @Sendable ([StoredEvent]) async -> StorageError? = { _ in nil }) {
    self.failure = failure
  }

  /// See `EventStore`.
  public func append(_ events: [StoredEvent]) async throws(StorageError) {
    state.withLock { $0.attempts += 1 }
    if let error = await failure(events) { throw error }
    state.withLock { $0.groups.append(events) }
  }

  /// See `EventStore`.
  public func newestEvents(limit: Int) async throws(StorageError) -> [StoredEvent] {
    Array(events.reversed().prefix(limit))
  }

  /// What was stored, in order.
  public var events: [StoredEvent] { state.withLock { $0.groups.flatMap { $0 } } }

  /// The sizes of the groups that were stored.
  public var groupSizes: [Int] { state.withLock { $0.groups.map(\.count) } }

  /// How often it was asked to store.
  public var attempts: Int { state.withLock { $0.attempts } }
}
