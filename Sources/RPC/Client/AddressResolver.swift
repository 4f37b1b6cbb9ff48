/// Where the servers of a service are: a list, or a name that is looked up.
public protocol AddressResolver: Sendable {
  /// The addresses at this moment, in the order in which they are to be tried. Throws `UNAVAILABLE` saying why they are not
  /// known.
  func resolve() async throws(RPCError) -> [any ClientConnector]
  /// After how long to look again; nil if the addresses never change.
  var refreshInterval: Duration? { get }
}

/// Addresses that never change.
public struct FixedAddresses: AddressResolver {
  private let connectors: [any ClientConnector]

  /// These addresses.
  public init(_ connectors: [any ClientConnector]) {
    precondition(!connectors.isEmpty, "a channel needs an address")
    self.connectors = connectors
  }

  /// See `AddressResolver`.
  public func resolve() async throws(RPCError) -> [any ClientConnector] { connectors }
  /// Never.
  public var refreshInterval: Duration? { nil }
}

/// How a channel chooses among the addresses of a service.
public enum Balancing: Sendable, Hashable {
  /// One connection, to the first address that answers; the others are tried when it is lost.
  case pickFirst
  /// A connection to every address; calls go to those that are connected in turn.
  case roundRobin
}
