import PostgresDriver
import Synchronization
import TimeAndChance

/// A replica that is read instead of the primary where it will do. Nobody waits long for it: one that fails, or takes longer
/// than `patience`, is left alone for a while, longer each time.
final class ReadReplica: Sendable {
  private struct State {
    var failures = 0
    var restsUntil: ContinuousClock.Instant?
  }

  /// How long a read may take, waiting for a connection included.
  static let patience: Duration = .seconds(1)

  let pool: PostgresPool
  private let random: any RandomSource
  private let backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(15))
  private let state = Mutex(State())

  init(_ pool: PostgresPool, random: any RandomSource) {
    self.pool = pool
    self.random = random
  }

  /// Lends a connection; nil if the replica rests, fails or takes too long, or if `body` says so.
  func read<Value: Sendable>(
    _ body: @Sendable (isolated PostgresConnection, _ deadline: ContinuousClock.Instant) async throws -> Value?
  ) async -> Value? {
    let deadline = ContinuousClock.now + Self.patience
    guard state.withLock({ $0.restsUntil.map { $0 <= .now } ?? true }) else { return nil }
    do {
      let value = try await pool.withConnection(deadline: deadline) { connection in
        try await connection.run { connection in try await body(connection, deadline) }
      }
      state.withLock { $0 = State() }
      return value
    } catch {
      if !Task.isCancelled { rest() }
      return nil
    }
  }

  private func rest() {
    state.withLock { state in
      // Reads that were under way together are one failure.
      if let until = state.restsUntil, until > .now { return }
      state.restsUntil = .now + backoff.delay(attempt: state.failures, random: random)
      state.failures += 1
    }
  }
}
