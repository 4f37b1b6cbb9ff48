internal import CHiredis
internal import DedicatedThreads
import Glibc
import Synchronization

/// What other threads may know of a session without waiting for its own.
final class SessionStatus: Sendable {
  /// The socket, -1 when there is none.
  let descriptor = Atomic<Int32>(-1)
  let runID = Mutex("")
}

/// What limits an exchange with the server.
struct Exchange {
  /// The name of the command, for messages.
  let what: String
  let deadline: ContinuousClock.Instant
  let flag: InterruptFlag
  /// Whether the commands may be sent twice, so that it is no harm not to know whether they took effect.
  let isIdempotent: Bool
}

/// One session with the server: everything that calls hiredis. Its methods block, so they run on a dedicated thread.
///
/// A session that is interrupted in mid-exchange is closed: the answer that is still to come would be taken for that of the
/// next command.
final class RedisSession {
  private let configuration: RedisConfiguration
  private let thread: DedicatedThread
  private let status: SessionStatus
  private var context: UnsafeMutablePointer<redisContext>?

  init(configuration: RedisConfiguration, thread: DedicatedThread, status: SessionStatus) {
    self.configuration = configuration
    self.thread = thread
    self.status = status
  }

  deinit {
    if let context { redisFree(context) }
  }

  /// Ends the session.
  func close() {
    status.descriptor.store(-1, ordering: .relaxed)
    if let context { redisFree(context) }
    context = nil
  }

  /// Connects, authenticates, selects the database and asks for the run id.
  ///
  /// - Throws: `connectionFailed`, `authenticationFailed`, `loading` and other codes of the server, `cancelled`,
  ///   `deadlineExceeded`.
  func connect(deadline: ContinuousClock.Instant?, flag: InterruptFlag) throws(RedisError) {
    precondition(context == nil, "a session connects once")
    let timeout = ContinuousClock.now + configuration.connectTimeout
    let exchange = Exchange(
      what: "connect", deadline: deadline.map { min($0, timeout) } ?? timeout, flag: flag, isIdempotent: true)
    do throws(RedisError) {
      try openSocket(exchange)
      try introduce(exchange)
    } catch {
      close()
      if error.code == .deadlineExceeded, deadline.map({ $0 > .now }) ?? true {
        throw failure("no answer within \(configuration.connectTimeout)")
      }
      throw error.code == .connectionLost ? failure(error.message) : error
    }
  }

  /// Sends commands and reads as many answers. Errors of the server are among the answers.
  ///
  /// - Throws: `closed`, `connectionLost`, `outcomeUnknown`, `cancelled`, `deadlineExceeded`, `protocolViolation`.
  func roundTrip(_ commands: CommandBuffer, _ exchange: Exchange) throws(RedisError) -> [Result<RedisValue, RedisError>]
  {
    guard let context else {
      throw RedisError(.closed, "\(exchange.what): the connection is closed; take another from the pool")
    }
    if let interruption = interruption(of: exchange, wasSent: false) { throw interruption }
    // Nothing is to be read now: the server has ended the connection, and known before anything is sent, that leaves no
    // outcome in doubt.
    if SocketState.isReadable(context.pointee.fd) { throw lost(exchange, wasSent: false) }
    let status = commands.bytes.withUnsafeBytes {
      redisAppendFormattedCommand(context, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
    guard status == REDIS_OK else { throw lost(exchange, wasSent: false) }

    var answers: [Result<RedisValue, RedisError>] = []
    answers.reserveCapacity(commands.count)
    var isWritten = false
    var wasSent = false
    while answers.count < commands.count {
      if !isWritten {
        var done: Int32 = 0
        guard redisBufferWrite(context, &done) == REDIS_OK else { throw lost(exchange, wasSent: wasSent) }
        wasSent = true
        isWritten = done == 1
      }
      try awaitSocket(context, isWritten ? .readable : [.readable, .writable], exchange, wasSent: true)
      if SocketState.isReadable(context.pointee.fd) || isWritten {
        guard redisBufferRead(context) == REDIS_OK else { throw lost(exchange, wasSent: true) }
        while answers.count < commands.count, let reply = try nextReply(context, exchange) {
          answers.append(RedisValue.answer(reply, to: exchange.what))
          freeReplyObject(reply)
        }
      }
    }
    return answers
  }

  private func openSocket(_ exchange: Exchange) throws(RedisError) {
    let context: UnsafeMutablePointer<redisContext>? =
      switch configuration.address {
      case .tcp(let host, let port): redisConnectNonBlock(host, Int32(port))
      case .unix(let path): redisConnectUnixNonBlock(path)
      }
    guard let context else { throw RedisError(.resourceExhausted, "no memory for a connection to \(configuration)") }
    self.context = context
    guard context.pointee.err == 0 else { throw failure(context.pointee.errorText) }
    try awaitSocket(context, .writable, exchange, wasSent: false)
    let error = SocketState.pendingError(context.pointee.fd)
    guard error == 0 else { throw failure(String(cString: strerror(error))) }
    if case .tcp = configuration.address, redisEnableKeepAlive(context) != REDIS_OK {
      throw failure(context.pointee.errorText)
    }
    status.descriptor.store(context.pointee.fd, ordering: .relaxed)
  }

  /// Says who we are and asks who the server is, in one round trip.
  private func introduce(_ exchange: Exchange) throws(RedisError) {
    var commands = CommandBuffer()
    if let password = configuration.password {
      commands.append(["AUTH"] + (configuration.username.map { [.text($0)] } ?? []) + [.text(password)])
    }
    if configuration.database != 0 { commands.append(["SELECT", .integer(Int64(configuration.database))]) }
    commands.append(["INFO", "server"])
    var info = RedisValue.null
    for answer in try roundTrip(commands, exchange) {
      switch answer {
      case .success(let value): info = value
      case .failure(let error):
        throw RedisError(error.code, "cannot use \(configuration): \(error.message)", serverCode: error.serverCode)
      }
    }
    let line = try info.text().split(whereSeparator: \.isNewline).first { $0.hasPrefix("run_id:") }
    guard let line else {
      throw RedisError(.protocolViolation, "\(configuration) does not tell its run id: is it a Redis server?")
    }
    let runID = String(line.dropFirst("run_id:".count))
    status.runID.withLock { $0 = runID }
  }

  private func nextReply(
    _ context: UnsafeMutablePointer<redisContext>, _ exchange: Exchange
  ) throws(RedisError) -> UnsafeMutablePointer<redisReply>? {
    var reply: UnsafeMutableRawPointer?
    guard redisGetReplyFromReader(context, &reply) == REDIS_OK else {
      let reason = context.pointee.errorText
      close()
      throw RedisError(
        .protocolViolation, "\(exchange.what): the answer is malformed (\(reason)); the connection is closed",
        isOutcomeUnknown: !exchange.isIdempotent)
    }
    return reply?.assumingMemoryBound(to: redisReply.self)
  }

  private func awaitSocket(
    _ context: UnsafeMutablePointer<redisContext>, _ events: DedicatedThread.Events, _ exchange: Exchange,
    wasSent: Bool
  ) throws(RedisError) {
    while true {
      let outcome = thread.wait(for: context.pointee.fd, events, until: exchange.deadline)
      if outcome == .ready { return }
      if let interruption = interruption(of: exchange, wasSent: wasSent) {
        close()
        throw interruption
      }
    }
  }

  private func interruption(of exchange: Exchange, wasSent: Bool) -> RedisError? {
    let isUnknown = wasSent && !exchange.isIdempotent
    let ending = isUnknown ? "; whether it took effect is unknown" : ""
    if exchange.flag.isRaised {
      return RedisError(
        .cancelled, "\(exchange.what): the task was cancelled\(ending)", isOutcomeUnknown: isUnknown)
    }
    if exchange.deadline <= .now {
      return RedisError(
        .deadlineExceeded, "\(exchange.what): no answer from \(configuration.address) by the deadline\(ending)",
        isOutcomeUnknown: isUnknown)
    }
    return nil
  }

  private func lost(_ exchange: Exchange, wasSent: Bool) -> RedisError {
    let text = context?.pointee.errorText ?? ""
    let reason = text.isEmpty ? "the server has closed it" : text
    close()
    if wasSent && !exchange.isIdempotent {
      return RedisError(
        .outcomeUnknown,
        "\(exchange.what): the connection was lost before the answer came (\(reason)); find out whether it took effect")
    }
    return RedisError(.connectionLost, "\(exchange.what): the connection was lost (\(reason))")
  }

  private func failure(_ reason: String) -> RedisError {
    RedisError(
      .connectionFailed,
      "cannot connect to \(configuration): \(reason); check that the server runs and accepts connections there")
  }
}

extension redisContext {
  /// hiredis's message for the error that the context is in.
  fileprivate var errorText: String {
    withUnsafeBytes(of: errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension RedisValue {
  /// The answer to a command; the reply stays the caller's.
  fileprivate static func answer(
    _ reply: UnsafeMutablePointer<redisReply>, to what: String
  ) -> Result<RedisValue, RedisError> {
    let value = RedisValue(reply.pointee)
    if case .error(let message) = value { return .failure(RedisError(reply: message, to: what)) }
    return .success(value)
  }

  /// Copies a reply. hiredis bounds its depth.
  fileprivate init(_ reply: redisReply) {
    let bytes = UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : reply.len)
    switch reply.type {
    case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
    case REDIS_REPLY_STRING: self = .bulk([UInt8](bytes))
    case REDIS_REPLY_STATUS: self = .simple(String(decoding: bytes, as: UTF8.self))
    case REDIS_REPLY_ARRAY:
      self = .array(
        UnsafeBufferPointer(start: reply.element, count: reply.elements).map { element in
          element.map { RedisValue($0.pointee) } ?? .null
        })
    case REDIS_REPLY_ERROR: self = .error(String(decoding: bytes, as: UTF8.self))
    default: self = .null
    }
  }
}
