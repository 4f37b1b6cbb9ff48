/// Something that a service needs to do its work: a store, or another service.
public struct ReadinessCheck: Sendable {
  /// How long a look may take before it counts as failed.
  public static let timeout = Duration.seconds(2)

  /// What it is called in the answers to probes, such as `database`: letters alone.
  public let name: String
  /// Returns if it can be used now.
  let look: @Sendable () async throws -> Void

  /// A check. `look` throws why the thing cannot be used, without secrets; it is called every few seconds, and cancelled after
  /// the timeout.
  public init(_ name: String, _ look: @escaping @Sendable () async throws -> Void) {
    self.name = name
    self.look = look
  }
}
