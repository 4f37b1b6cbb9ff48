internal import CPostgres
internal import DedicatedThreads
import Synchronization

/// What other threads may know of a session without waiting for its own.
final class SessionStatus: Sendable {
  /// The socket, -1 when there is none.
  let descriptor = Atomic<Int32>(-1)
  /// Whether nothing is under way: no transaction, no COPY.
  let isAtRest = Atomic(false)
}

/// One session with the server: everything that calls libpq. Its methods block, so they run on a dedicated thread.
///
/// After a method has thrown, the session is either ready for the next statement or closed.
final class PostgresSession {
  /// A COPY that is under way.
  enum Activity: Equatable { case none, copyIn(isAtRisk: Bool), copyOut(isAtEnd: Bool) }

  let configuration: PostgresConfiguration
  let thread: DedicatedThread
  let status: SessionStatus
  let notices: NoticeCounter
  var handle: OpaquePointer?
  var statements: StatementCache
  var encoder = ParameterEncoder()
  var activity = Activity.none

  init(configuration: PostgresConfiguration, thread: DedicatedThread, status: SessionStatus) {
    self.configuration = configuration
    self.thread = thread
    self.status = status
    notices = NoticeCounter(handler: configuration.onNotice)
    statements = StatementCache(limit: configuration.statementCacheLimit)
  }

  deinit {
    if let handle { PQfinish(handle) }
  }

  /// Ends the session. Whatever is under way is rolled back by the server.
  func close() {
    status.descriptor.store(-1, ordering: .relaxed)
    status.isAtRest.store(false, ordering: .relaxed)
    activity = .none
    if let handle { PQfinish(handle) }
    handle = nil
  }

  /// The open connection, ready for a statement.
  ///
  /// - Throws: `closed`, `misuse` within a COPY, or the interruption that has come before anything was sent.
  func begin(_ operation: Operation) throws(PostgresError) -> OpaquePointer {
    guard let handle else {
      throw PostgresError(.closed, "\(operation.what): the connection is closed; take another from the pool")
    }
    guard activity == .none else {
      throw PostgresError(.misuse, "\(operation.what): a COPY is under way on this connection; end it first")
    }
    if let cause = operation.dueCause { throw operation.interrupted(cause) }
    if hasEndedMeanwhile(handle) {
      close()
      throw PostgresError(
        .connectionLost, "\(operation.what): the server had ended the connection before anything was sent")
    }
    return handle
  }

  /// Whether the server has ended a connection at rest. Known before anything is sent, it leaves no outcome in doubt.
  private func hasEndedMeanwhile(_ handle: OpaquePointer) -> Bool {
    guard SocketState.isReadable(PQsocket(handle)) else { return false }
    // Its last words and the end of the stream, or just a notice. PQisBusy makes libpq look at what was read.
    for _ in 0..<2 where PQconsumeInput(handle) == 1 { _ = PQisBusy(handle) }
    return PQstatus(handle) != CONNECTION_OK || notices.hasEnded
  }

  /// Publishes what other threads may know, and drops a connection that has ended.
  func publishStatus() {
    guard let handle else { return }
    guard PQstatus(handle) == CONNECTION_OK else { return close() }
    status.isAtRest.store(
      activity == .none && PQtransactionStatus(handle) == PQTRANS_IDLE, ordering: .relaxed)
  }

  /// Whether a transaction block is open, failed or not.
  var isInTransaction: Bool {
    guard let handle else { return false }
    return PQtransactionStatus(handle) != PQTRANS_IDLE
  }

  /// Whether a statement that is lost now may have taken effect: outside a transaction block it commits by itself.
  func isAtRisk(_ handle: OpaquePointer) -> Bool {
    PQtransactionStatus(handle) == PQTRANS_IDLE
  }
}

/// Remembers what the notices of a session mean for it, and hands them to the configured handler.
final class NoticeCounter {
  private let handler: (@Sendable (String, String) -> Void)?
  private(set) var warnings = 0
  /// Whether the server has said, outside any statement, that it ends the connection.
  private(set) var hasEnded = false

  init(handler: (@Sendable (String, String) -> Void)?) { self.handler = handler }

  /// Makes libpq report the notices of the connection here instead of on standard error. The counter must outlive it.
  func attach(to connection: OpaquePointer) {
    PQsetNoticeReceiver(
      connection,
      { context, result in
        guard let context, let result else { return }
        Unmanaged<NoticeCounter>.fromOpaque(context).takeUnretainedValue().receive(result)
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  private func receive(_ result: OpaquePointer) {
    let severity = PQresultErrorField(result, chancery_pg_severity).map { String(cString: $0) } ?? "NOTICE"
    if severity == "WARNING" { warnings += 1 }
    if severity == "FATAL" || severity == "PANIC" { hasEnded = true }
    guard let handler else { return }
    let message = PQresultErrorField(result, chancery_pg_message) ?? PQresultErrorMessage(result)
    handler(severity, PostgresError.firstLine(message))
  }
}
