internal import DedicatedThreads
import Synchronization

/// One session with a PostgreSQL server, on a thread of its own.
///
/// **Concurrency.** A call from outside moves to the connection's thread and back, once each; code that runs several
/// statements in a row moves there itself with ``run(_:)``. Statements of several tasks on one connection run one after
/// another; lease a connection for each task instead.
///
/// **Deadlines and cancellation.** Both interrupt a statement at any time: the server is asked to stop it, and the call
/// ends with ``PostgresError/Code/deadlineExceeded`` or ``PostgresError/Code/cancelled``. If the server does not confirm within
/// ``PostgresConfiguration/cancelGrace``, the connection is closed, and the error says whether the statement may have
/// taken effect. A statement that was done before the request reached it returns its result. Without a deadline a
/// statement may take as long as the server lets it.
///
/// **Loss.** A connection that has ended stays closed. ``PostgresPool`` opens another.
public actor PostgresConnection {
  private nonisolated let thread: DedicatedThread
  private nonisolated let status: SessionStatus
  /// Touched on the connection's thread only.
  let session: PostgresSession

  /// The thread of the connection.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private init(configuration: PostgresConfiguration, thread: DedicatedThread) {
    self.thread = thread
    status = SessionStatus()
    session = PostgresSession(configuration: configuration, thread: thread, status: status)
  }

  /// Opens a connection.
  ///
  /// - Parameters:
  ///   - configuration: where the server is.
  ///   - deadline: when to give up, if that is before the configured timeout.
  /// - Throws: `connectionFailed`, with ``PostgresError/sqlState`` if the server answered; `cancelled`; `deadlineExceeded`;
  ///   `resourceExhausted` if the system has no thread left.
  public static func open(
    _ configuration: PostgresConfiguration, deadline: ContinuousClock.Instant? = nil
  ) async throws(PostgresError) -> PostgresConnection {
    let thread: DedicatedThread
    do {
      thread = try DedicatedThread(name: "postgres")
    } catch {
      throw PostgresError(.resourceExhausted, error.description)
    }
    let connection = PostgresConnection(configuration: configuration, thread: thread)
    try await connection.connect(deadline)
    return connection
  }

  /// Runs a statement and returns all its rows.
  ///
  /// The rows are held in memory: for results of unknown size use ``withCursor(_:_:rows:bytes:deadline:_:)``. The first run
  /// in a session costs one more round trip, in which the statement is prepared.
  ///
  /// - Parameters:
  ///   - statement: what to run.
  ///   - parameters: its parameters in order, at most 65,535 with 1 GiB together.
  ///   - deadline: when to interrupt it.
  /// - Throws: `server` and the error's ``PostgresError/sqlState``; `invalidParameter`; `connectionLost`;
  ///   `commitOutcomeUnknown`; `cancelled`; `deadlineExceeded`; `closed`; `misuse`.
  public func query(
    _ statement: PostgresStatement, _ parameters: [PostgresValue] = [], deadline: ContinuousClock.Instant? = nil
  ) async throws(PostgresError) -> PostgresResult {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("query", statement: statement, deadline: deadline, flag: flag)
      return try session.query(statement, parameters, &operation)
    }
  }

  /// Runs one or more statements without parameters, separated by semicolons, as migrations and settings are.
  ///
  /// Outside a transaction block they are one transaction, unless they contain transaction commands themselves. Rows are
  /// not returned.
  ///
  /// - Returns: what the server says of the last statement, such as `CREATE TABLE`.
  /// - Throws: as ``query(_:_:deadline:)``.
  @discardableResult
  public func execute(
    _ script: String, deadline: ContinuousClock.Instant? = nil
  ) async throws(PostgresError) -> String {
    let statement = PostgresStatement(script, isReadOnly: false, isPrepared: false)
    return try await interruptible { flag throws(PostgresError) in
      var operation = Operation("script", statement: statement, deadline: deadline, flag: flag)
      // The script may hold a COMMIT.
      operation.isAtRisk = true
      return try session.execute(script, &operation).commandTag
    }
  }

  /// Runs several statements in one round trip, each on its own.
  ///
  /// Outside a transaction block each statement commits by itself and an error in one does not touch the others. If the
  /// connection is lost, those answered before have their results and the others `commitOutcomeUnknown`. An
  /// interruption stops the statement that runs at that moment; those after it run if the grace suffices.
  ///
  /// - Returns: an outcome for each request, in their order.
  /// - Throws: `closed`, `misuse`, or an interruption or loss before the first statement was sent.
  public func pipeline(
    _ requests: [PostgresRequest], deadline: ContinuousClock.Instant? = nil
  ) async throws(PostgresError) -> [Result<PostgresResult, PostgresError>] {
    if requests.isEmpty { return [] }
    return try await interruptible { flag throws(PostgresError) in
      var operation = Operation("pipeline", deadline: deadline, flag: flag)
      return try session.pipeline(requests, &operation)
    }
  }

  /// Runs several statements in one round trip, all or none.
  ///
  /// Outside a transaction block they are one transaction, which is committed at the end if none of them failed.
  ///
  /// - Returns: the results in the order of the requests.
  /// - Throws: the error of the first that failed; otherwise as ``query(_:_:deadline:)``.
  public func atomicPipeline(
    _ requests: [PostgresRequest], deadline: ContinuousClock.Instant? = nil
  ) async throws(PostgresError) -> [PostgresResult] {
    if requests.isEmpty { return [] }
    return try await interruptible { flag throws(PostgresError) in
      var operation = Operation("pipeline", deadline: deadline, flag: flag)
      return try session.atomicPipeline(requests, &operation)
    }
  }

  /// Runs `body` on the connection's thread, so that the statements in it need not move there one by one.
  ///
  /// What `body` computes occupies this connection's thread and no other.
  public func run<T>(
    _ body: @Sendable (isolated PostgresConnection) async throws -> sending T
  ) async rethrows -> sending T {
    try await body(self)
  }

  /// Closes the connection; a transaction that is under way is rolled back. Closing again changes nothing.
  public func close() {
    session.close()
    thread.stop()
  }

  /// Whether the connection is open, with no transaction and no COPY under way, and the server has not ended it.
  ///
  /// It is answered at once, without a round trip. Something unexpected from the server, such as the news that it shuts
  /// down, makes it false.
  public nonisolated var isReusable: Bool {
    let descriptor = status.descriptor.load(ordering: .relaxed)
    return descriptor >= 0 && status.isAtRest.load(ordering: .relaxed) && !SocketState.isReadable(descriptor)
  }

  private func connect(_ deadline: ContinuousClock.Instant?) async throws(PostgresError) {
    try await interruptible { flag throws(PostgresError) in
      try session.connect(Operation("connect", deadline: deadline, flag: flag))
    }
  }

  /// Runs `body`, which blocks this thread, with a flag that the cancellation of the task raises.
  func interruptible<T>(
    _ body: (InterruptFlag) throws(PostgresError) -> T
  ) async throws(PostgresError) -> T {
    let flag = InterruptFlag(thread: thread)
    let result: Result<T, PostgresError> = await withTaskCancellationHandler {
      // A method of this actor, so that the closure belongs to the actor and stays on its thread.
      outcome(of: body, flag)
    } onCancel: {
      flag.raise()
    }
    return try result.get()
  }

  private func outcome<T>(
    of body: (InterruptFlag) throws(PostgresError) -> T, _ flag: InterruptFlag
  ) -> Result<T, PostgresError> {
    do throws(PostgresError) { return .success(try body(flag)) } catch { return .failure(error) }
  }
}
