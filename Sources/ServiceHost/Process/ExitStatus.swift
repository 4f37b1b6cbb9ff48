import RPC
import RPCTransport
import Storage

/// What a process tells its parent when it ends. The numbers are those of the whole command line.
public struct ExitStatus: RawRepresentable, Hashable, Sendable {
  /// The number for `exit`.
  public let rawValue: Int32

  /// Wraps a number.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// 0: it did what it was asked, or stopped gracefully.
  public static let success = ExitStatus(rawValue: 0)
  /// 1: it failed: it could not listen, or its service ended.
  public static let failed = ExitStatus(rawValue: 1)
  /// 2: a server that it needs (a store, another service) cannot be reached or refuses, for instance for want of a
  /// migration.
  public static let serverFailed = ExitStatus(rawValue: 2)
  /// 5: it did not stop within the grace period and was ended.
  public static let timeout = ExitStatus(rawValue: 5)
  /// 64: an option or setting cannot be used.
  public static let usage = ExitStatus(rawValue: 64)

  /// 128 and the number of the signal (130 for SIGINT, 143 for SIGTERM): a second signal ended it at once.
  public static func signal(_ number: Int32) -> ExitStatus { ExitStatus(rawValue: 128 + number) }

  /// The status for an error that ended a process.
  public init(_ error: any Error) {
    switch error {
    case let error as any ExitingError: self = error.exitStatus
    case is ConfigurationError, is EndpointError: self = .usage
    case is StorageError: self = .serverFailed
    case let error as RPCError where error.code == .unavailable: self = .serverFailed
    default: self = .failed
    }
  }
}

/// An error that knows what a process that it ends is to exit with.
public protocol ExitingError: Error {
  /// The status.
  var exitStatus: ExitStatus { get }
}
