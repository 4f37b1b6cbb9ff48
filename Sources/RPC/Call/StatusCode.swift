/// The outcome of a call: the 17 codes of gRPC, with the same numbers
/// (https://grpc.io/docs/guides/status-codes/). Codes of newer peers are kept as they came.
public struct StatusCode: RawRepresentable, Hashable, Sendable {
  /// The number on the wire.
  public let rawValue: Int32

  /// Wraps a number from the wire.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The call succeeded.
  public static let ok = StatusCode(rawValue: 0)
  /// The caller gave up.
  public static let cancelled = StatusCode(rawValue: 1)
  /// An error that fits no other code.
  public static let unknown = StatusCode(rawValue: 2)
  /// The request is wrong whatever the state of the system.
  public static let invalidArgument = StatusCode(rawValue: 3)
  /// The deadline passed; the call may have taken effect all the same.
  public static let deadlineExceeded = StatusCode(rawValue: 4)
  /// What was asked for does not exist.
  public static let notFound = StatusCode(rawValue: 5)
  /// What was to be made exists already.
  public static let alreadyExists = StatusCode(rawValue: 6)
  /// The caller is known and may not do this.
  public static let permissionDenied = StatusCode(rawValue: 7)
  /// A limit was reached; the same call may succeed later.
  public static let resourceExhausted = StatusCode(rawValue: 8)
  /// The system is not in the state that the call needs.
  public static let failedPrecondition = StatusCode(rawValue: 9)
  /// The call lost a race; retry at a higher level.
  public static let aborted = StatusCode(rawValue: 10)
  /// A position past the end.
  public static let outOfRange = StatusCode(rawValue: 11)
  /// The server has no such method.
  public static let unimplemented = StatusCode(rawValue: 12)
  /// An invariant of the system is broken.
  public static let `internal` = StatusCode(rawValue: 13)
  /// The server cannot be reached or is stopping; retry with backoff.
  public static let unavailable = StatusCode(rawValue: 14)
  /// Data was lost for good.
  public static let dataLoss = StatusCode(rawValue: 15)
  /// The caller is not known.
  public static let unauthenticated = StatusCode(rawValue: 16)

  private static let names: [String] = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
  ]
}

extension StatusCode: CustomStringConvertible {
  /// The name as gRPC writes it, such as `RESOURCE_EXHAUSTED`; `CODE_42` for a number without a name.
  public var description: String {
    Self.names.indices.contains(Int(rawValue)) ? Self.names[Int(rawValue)] : "CODE_\(rawValue)"
  }
}
