import Domain
public import Storage
import Synchronization

/// Keeps events in memory, and fails when a test says so.
public final class FallibleEventStore: EventStore {
  private struct State {
    var groups: [[StoredEvent]] = []
    var attempts = 0
    var retentions: [Int] = []
  }

  private let failure: @Sendable ([StoredEvent]) async -> StorageError?
  private let retention: @Sendable () -> Result<Int, StorageError>
  private let state = Mutex(State())

  /// A store that asks `failure` before it takes or gives events, and fails with the error that it returns. `retention` says
  /// how many days it drops.
  public init(
    failure: @escaping @Sendable ([StoredEvent]) async -> StorageError? = { _ in nil },
    retention: @escaping @Sendable () -> Result<Int, StorageError> = { .success(0) }
  ) {
    self.failure = failure
    self.retention = retention
  }

  /// See `EventStore`.
  public func append(_ events: [StoredEvent]) async throws(StorageError) {
    state.withLock { $0.attempts += 1 }
    if let error = await failure(events) { throw error }
    state.withLock { $0.groups.append(events) }
  }

  /// See `EventStore`.
  public func events(
    _ filter: EventFilter, order: EventOrder, after position: EventPosition?, limit: Int
  ) async throws(StorageError) -> [PlacedEvent] {
    if let error = await failure([]) { throw error }
    let placed = events.enumerated().map { index, event in
      PlacedEvent(event: event, position: EventPosition(storedAt: Timestamp(rawValue: 0), id: Int64(index)))
    }
    let ordered = order == .oldestFirst ? placed : placed.reversed()
    let passing = ordered.filter { one in
      guard filter.includes(one.event) else { return false }
      guard let position else { return true }
      return order == .oldestFirst ? one.position > position : one.position < position
    }
    return Array(passing.prefix(limit))
  }

  /// See `EventStore`.
  public func retainEvents(days: Int) async throws(StorageError) -> Int {
    state.withLock { $0.retentions.append(days) }
    return try retention().get()
  }

  /// For how many days it was to keep events, each time that it was asked.
  public var retentions: [Int] { state.withLock { $0.retentions } }

  /// What was stored, in order.
  public var events: [StoredEvent] { state.withLock { $0.groups.flatMap { $0 } } }

  /// The sizes of the groups that were stored.
  public var groupSizes: [Int] { state.withLock { $0.groups.map(\.count) } }

  /// How often it was asked to store.
  public var attempts: Int { state.withLock { $0.attempts } }
}
