/// A call that did not succeed, as both sides see it: a code for programs, a message for people, details for both.
///
/// Handlers throw it to choose what the caller sees. A `CancellationError` reaches the caller as `CANCELLED`; any other
/// error as `UNKNOWN` without its text, which may be none of the caller's business.
///
/// What travels is bounded: a message above 4 KiB is cut, a NUL in a text becomes U+FFFD, and details beyond 32, or beyond
/// 64 KiB in all, are left out.
public struct RPCError: Error, Sendable, Hashable {
  /// What kind of failure.
  public var code: StatusCode
  /// What was wrong, with the offending value and the remedy. Never a secret.
  public var message: String
  /// Typed extras, as `google.rpc.Status.details`.
  public var details: [ErrorDetail]

  /// Makes an error; `code` is not `.ok`.
  public init(_ code: StatusCode, _ message: String, details: [ErrorDetail] = []) {
    precondition(code != .ok, "an error cannot have the code OK")
    self.code = code
    self.message = message
    self.details = details
  }

  /// Whether the same call may succeed if repeated unchanged after a pause.
  public var isRetryable: Bool {
    switch code {
    case .unavailable, .resourceExhausted, .aborted: true
    default: false
    }
  }
}

extension RPCError: CustomStringConvertible {
  /// `CODE: message`.
  public var description: String { "\(code): \(message)" }
}

/// One typed extra of an error: the name of a protobuf message and its bytes (`google.protobuf.Any`).
public struct ErrorDetail: Sendable, Hashable {
  /// Such as `type.googleapis.com/google.rpc.RetryInfo`.
  public var typeURL: String
  /// The encoded message.
  public var value: [UInt8]

  /// Makes a detail.
  public init(typeURL: String, value: [UInt8]) {
    self.typeURL = typeURL
    self.value = value
  }
}
