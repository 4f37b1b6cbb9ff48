/// A server could not listen.
public struct ListenError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kinds of failure. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// A stable name, such as `addressInUse`.
    public let rawValue: String

    /// Makes a code from its name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Other machines could reach the endpoint, and the server has no TLS.
    public static let notLocal = Code(rawValue: "notLocal")
    /// Something listens there already.
    public static let addressInUse = Code(rawValue: "addressInUse")
    /// The server is stopping.
    public static let stopping = Code(rawValue: "stopping")
    /// The system refuses, for a reason of its own.
    public static let refused = Code(rawValue: "refused")

    /// The code's name.
    public var description: String { rawValue }
  }

  /// What kind of failure.
  public let code: Code
  /// Where it was to listen.
  public let endpoint: Endpoint
  /// Why it cannot, and what helps.
  public let reason: String

  /// Names the address and the remedy.
  public var description: String { "cannot listen on \(endpoint): \(reason)" }
}
