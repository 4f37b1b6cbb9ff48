internal import DedicatedThreads
import Synchronization

/// Names one start of a Redis server: a server that was restarted, and has perhaps forgotten everything, has another.
public struct RedisRunID: Hashable, Sendable, CustomStringConvertible {
  /// 40 hexadecimal digits, as `INFO server` tells them.
  public let rawValue: String

  /// A run id from its digits.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// The digits.
  public var description: String { rawValue }
}

/// One connection to a Redis server, on a thread of its own.
///
/// **Concurrency.** A call from outside moves to the connection's thread and back, once each. Commands of several tasks on
/// one connection run one after another.
///
/// **Deadlines and cancellation.** A command ends with `deadlineExceeded` at its deadline, or after
/// ``RedisConfiguration/commandTimeout`` if it has none, and with `cancelled` when its task is cancelled. Redis cannot be
/// asked to stop a command, so the connection is then closed, and the command may take effect:
/// ``RedisError/isOutcomeUnknown`` says so.
///
/// **Loss.** A connection that has ended stays closed; ``RedisPool`` opens another. A command that was sent is never sent
/// again by itself.
public actor RedisConnection {
  private nonisolated let thread: DedicatedThread
  private nonisolated let status: SessionStatus
  private nonisolated let commandTimeout: Duration
  private let session: RedisSession
  private var buffer = CommandBuffer()

  /// The thread of the connection.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private init(configuration: RedisConfiguration, thread: DedicatedThread) {
    self.thread = thread
    status = SessionStatus()
    commandTimeout = configuration.commandTimeout
    session = RedisSession(configuration: configuration, thread: thread, status: status)
  }

  /// Opens a connection: authenticates, selects the database and asks for the run id.
  ///
  /// - Throws: `connectionFailed`, `authenticationFailed`, `loading`, `permissionDenied`, `cancelled`, `deadlineExceeded`,
  ///   `resourceExhausted`.
  public static func open(
    _ configuration: RedisConfiguration, deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> RedisConnection {
    let thread: DedicatedThread
    do {
      thread = try DedicatedThread(name: "redis")
    } catch {
      throw RedisError(.resourceExhausted, error.description)
    }
    let connection = RedisConnection(configuration: configuration, thread: thread)
    try await connection.connect(deadline)
    return connection
  }

  /// Which start of the server this connection talks to. Known since the connection was opened, and constant.
  public nonisolated var runID: RedisRunID { RedisRunID(rawValue: status.runID.withLock { $0 }) }

  /// Sends a command and returns the answer.
  ///
  /// - Parameters:
  ///   - arguments: the name and arguments of the command.
  ///   - isIdempotent: whether the command may be sent again after a lost connection, which is then reported as
  ///     `connectionLost` and not as `outcomeUnknown`.
  ///   - deadline: when to give up; by default after the command timeout.
  /// - Throws: the codes of server errors; `outcomeUnknown`, `connectionLost`, `cancelled`, `deadlineExceeded`, `closed`,
  ///   `protocolViolation`.
  public func command(
    _ arguments: [RedisArgument], isIdempotent: Bool = false, deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> RedisValue {
    let answers = try await exchange(arguments.commandName, isIdempotent: isIdempotent, deadline: deadline) {
      $0.append(arguments)
    }
    return try answers[0].get()
  }

  /// Sends several commands in one round trip, in their order, and returns an answer for each.
  ///
  /// - Throws: as ``command(_:isIdempotent:deadline:)``, for all of them together; server errors are among the answers.
  public func pipeline(
    _ commands: [[RedisArgument]], isIdempotent: Bool = false, deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> [Result<RedisValue, RedisError>] {
    if commands.isEmpty { return [] }
    return try await exchange("pipeline", isIdempotent: isIdempotent, deadline: deadline) {
      for command in commands { $0.append(command) }
    }
  }

  /// Runs a script by its SHA-1: one `EVALSHA`. Only if the server does not know it, it is loaded and run once more.
  ///
  /// - Parameters:
  ///   - script: what to run.
  ///   - keys: its `KEYS`.
  ///   - arguments: its `ARGV`.
  ///   - isIdempotent: as for ``command(_:isIdempotent:deadline:)``.
  ///   - deadline: when to give up; by default after the command timeout.
  /// - Throws: as ``command(_:isIdempotent:deadline:)``.
  public func eval(
    _ script: RedisScript, keys: [RedisArgument] = [], arguments: [RedisArgument] = [], isIdempotent: Bool = false,
    deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> RedisValue {
    let answers = try await eval(
      [RedisCall(script, keys: keys, arguments: arguments)], isIdempotent: isIdempotent, deadline: deadline)
    return try answers[0].get()
  }

  /// Runs several scripts in one round trip, in their order, and returns an answer for each.
  ///
  /// Scripts that the server does not know are loaded and run in a second round trip, after all others.
  ///
  /// - Throws: as ``pipeline(_:isIdempotent:deadline:)``.
  public func eval(
    _ calls: [RedisCall], isIdempotent: Bool = false, deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> [Result<RedisValue, RedisError>] {
    if calls.isEmpty { return [] }
    let deadline = deadline ?? .now + commandTimeout
    var answers = try await exchange("EVALSHA", isIdempotent: isIdempotent, deadline: deadline) {
      for call in calls { $0.appendEvaluation(call) }
    }

    // The server says NOSCRIPT before it does anything, so that these have not run.
    let unknown = answers.indices.filter { answers[$0].isNoScript }
    if unknown.isEmpty { return answers }
    let sources = Set(unknown.map { calls[$0].script.source })
    let more = try await exchange("EVALSHA", isIdempotent: isIdempotent, deadline: deadline) {
      for source in sources { $0.append(["SCRIPT", "LOAD", .text(source)]) }
      for index in unknown { $0.appendEvaluation(calls[index]) }
    }
    for (index, answer) in zip(unknown, more.dropFirst(sources.count)) { answers[index] = answer }
    // A script that cannot be loaded, for its Lua is wrong, says so itself.
    if case .failure(let error)? = more.prefix(sources.count).first(where: { (try? $0.get()) == nil }) {
      for index in unknown where answers[index].isNoScript { answers[index] = .failure(error) }
    }
    return answers
  }

  /// Runs `body` on the connection's thread, so that the commands in it need not move there one by one.
  ///
  /// What `body` computes occupies this connection's thread and no other.
  public func run<T>(
    _ body: @Sendable (isolated RedisConnection) async throws -> sending T
  ) async rethrows -> sending T {
    try await body(self)
  }

  /// Closes the connection. Closing again changes nothing.
  public func close() {
    session.close()
    thread.stop()
  }

  /// Whether the connection is open and the server has not ended it. Answered at once, without a round trip.
  public nonisolated var isReusable: Bool {
    let descriptor = status.descriptor.load(ordering: .relaxed)
    return descriptor >= 0 && !SocketState.isReadable(descriptor)
  }

  private func connect(_ deadline: ContinuousClock.Instant?) async throws(RedisError) {
    try await interruptible { flag throws(RedisError) in try session.connect(deadline: deadline, flag: flag) }
  }

  /// Sends the commands that `fill` puts into the buffer.
  private func exchange(
    _ what: String, isIdempotent: Bool, deadline: ContinuousClock.Instant?, _ fill: (inout CommandBuffer) -> Void
  ) async throws(RedisError) -> [Result<RedisValue, RedisError>] {
    let deadline = deadline ?? .now + commandTimeout
    return try await interruptible { flag throws(RedisError) in
      buffer.removeAll()
      fill(&buffer)
      return try session.roundTrip(
        buffer, Exchange(what: what, deadline: deadline, flag: flag, isIdempotent: isIdempotent))
    }
  }

  /// Runs `body`, which blocks this thread, with a flag that the cancellation of the task raises.
  private func interruptible<T>(
    _ body: (InterruptFlag) throws(RedisError) -> T
  ) async throws(RedisError) -> T {
    let flag = InterruptFlag(thread: thread)
    let result: Result<T, RedisError> = await withTaskCancellationHandler {
      // A method of this actor, so that the closure belongs to the actor and stays on its thread.
      outcome(of: body, flag)
    } onCancel: {
      flag.raise()
    }
    return try result.get()
  }

  private func outcome<T>(
    of body: (InterruptFlag) throws(RedisError) -> T, _ flag: InterruptFlag
  ) -> Result<T, RedisError> {
    do throws(RedisError) { return .success(try body(flag)) } catch { return .failure(error) }
  }
}

extension Result<RedisValue, RedisError> {
  fileprivate var isNoScript: Bool {
    if case .failure(let error) = self { error.code == .noScript } else { false }
  }
}

extension [RedisArgument] {
  /// The name of the command, for messages; its arguments may be secret.
  fileprivate var commandName: String {
    if case .text(let name)? = first { name } else { "command" }
  }
}
