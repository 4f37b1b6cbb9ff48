/// How far a transaction is shielded from others that run at the same time.
public enum IsolationLevel: Sendable {
  /// Each statement sees what was committed before it began.
  case readCommitted
  /// All statements see what was committed before the first began.
  case repeatableRead
  /// As if the transactions ran one after another; be ready to run it again on 40001.
  case serializable

  var sql: String {
    switch self {
    case .readCommitted: "READ COMMITTED"
    case .repeatableRead: "REPEATABLE READ"
    case .serializable: "SERIALIZABLE"
    }
  }
}

extension PostgresConnection {
  /// Runs `body` within a transaction: it is committed when `body` returns and rolled back when it throws.
  ///
  /// The body runs where the caller runs; call from within ``run(_:)`` to spare the moves between threads. COMMIT and
  /// ROLLBACK are not interrupted by the cancellation of the task. Transactions cannot be nested.
  ///
  /// - Parameters:
  ///   - isolation: the isolation level.
  ///   - readOnly: whether the server refuses all changes.
  ///   - deadline: when to give up BEGIN and COMMIT; statements of the body have their own.
  ///   - body: what to do, with this connection.
  /// - Throws: what `body` throws; `aborted` if a statement had failed and `body` returned nevertheless;
  ///   `commitOutcomeUnknown` if the connection was lost, or the deadline passed, after COMMIT had been sent;
  ///   `server`, in particular 40001 from COMMIT; `misuse` if a transaction is under way.
  public nonisolated func transaction<T>(
    isolation: IsolationLevel = .readCommitted, readOnly: Bool = false, deadline: ContinuousClock.Instant? = nil,
    _ body: (PostgresConnection) async throws -> T
  ) async throws -> T {
    try await beginTransaction(isolation, readOnly: readOnly, deadline: deadline)
    let value: T
    do {
      value = try await body(self)
    } catch {
      await rollBack()
      throw error
    }
    try await commit(isReadOnly: readOnly, deadline: deadline)
    return value
  }

  private func beginTransaction(
    _ isolation: IsolationLevel, readOnly: Bool, deadline: ContinuousClock.Instant?
  ) async throws(PostgresError) {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("BEGIN", deadline: deadline, flag: flag)
      guard !session.isInTransaction else {
        throw PostgresError(.misuse, "BEGIN: a transaction is under way on this connection; they cannot be nested")
      }
      let mode = readOnly ? "READ ONLY" : "READ WRITE"
      _ = try session.execute("BEGIN ISOLATION LEVEL \(isolation.sql), \(mode)", &operation)
    }
  }

  private func commit(isReadOnly: Bool, deadline: ContinuousClock.Instant?) throws(PostgresError) {
    var operation = Operation("COMMIT", deadline: deadline, flag: nil, interruption: .closesConnection)
    operation.isAtRisk = !isReadOnly
    let tag: String
    do throws(PostgresError) {
      tag = try session.execute("COMMIT", &operation).commandTag
    } catch {
      if error.code == .closed {
        throw PostgresError(.connectionLost, "COMMIT: the connection was lost before; nothing was committed")
      }
      // Not sent, or refused: the transaction must not stay open.
      if session.isInTransaction { session.close() }
      throw error
    }
    // COMMIT of a transaction in which a statement has failed succeeds, by rolling back.
    if tag != "COMMIT" {
      throw PostgresError(.aborted, "COMMIT: nothing was committed, since a statement of the transaction had failed")
    }
  }

  /// Rolls back within the grace for cancelling, or closes the connection, which has the same effect.
  private func rollBack() {
    guard session.isInTransaction else { return }
    var operation = Operation(
      "ROLLBACK", deadline: .now + session.configuration.cancelGrace, flag: nil, interruption: .closesConnection)
    do {
      _ = try session.execute("ROLLBACK", &operation)
    } catch {
      // The body's error is what the caller has to know.
      session.close()
    }
  }
}
