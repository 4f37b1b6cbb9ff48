/// What is wrong with a value, a message or a schema.
public struct DynamicMessageError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The fields that lead to it, such as `payloads[3].digest`; empty for the whole.
  public var path: String
  /// What is wrong there.
  public var reason: String

  init(_ reason: String, at path: String = "") {
    self.path = path
    self.reason = reason
  }

  /// Names the field and the reason.
  public var description: String { path.isEmpty ? reason : "\(path): \(reason)" }

  /// The same error, seen from the message that holds `field`.
  func inside(_ field: String) -> DynamicMessageError {
    let separator = path.isEmpty || path.hasPrefix("[") ? "" : "."
    return DynamicMessageError(reason, at: field + separator + path)
  }
}
