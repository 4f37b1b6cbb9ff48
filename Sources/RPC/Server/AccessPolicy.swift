/// Who may call what. What is not allowed is denied.
public struct AccessPolicy: Sendable {
  /// Everybody may call everything: for servers that only this machine can reach.
  public static let open = AccessPolicy(rules: nil)

  /// The services and methods that each identity may call; nil allows everything.
  private let rules: [String: Set<String>]?
  private let everybody: Set<String>

  private init(rules: [String: Set<String>]?, everybody: Set<String> = []) {
    self.rules = rules
    self.everybody = everybody
  }

  /// Allows each identity, as its certificate has it, the services and methods (`/service/method`) listed for it, and those
  /// listed for everybody to all that have one.
  public init(_ rules: [String: Set<String>], everybody: Set<String> = []) {
    self.init(rules: rules, everybody: everybody)
  }

  /// Why a peer may not call a method; nil if it may.
  func refusal(of method: MethodDescriptor, to peer: PeerInfo) -> RPCError? {
    guard let rules else { return nil }
    guard let identity = peer.identity else {
      return RPCError(
        .unauthenticated, "\(method.path): the caller's certificate names nobody; it needs a URI as alternative name")
    }
    func lists(_ allowed: Set<String>) -> Bool { allowed.contains(method.service) || allowed.contains(method.path) }
    if lists(everybody) || lists(rules[identity] ?? []) { return nil }
    return RPCError(.permissionDenied, "\(identity) may not call \(method.path)")
  }
}
