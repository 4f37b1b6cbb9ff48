public import RPC
public import Schema
import TimeAndChance

/// Serves `chancery.v1.Health` from a registry.
public struct HealthEndpoint: ChanceryV1.Health.Service {
  private let registry: HealthRegistry

  /// An endpoint that tells what is in `registry`.
  public init(_ registry: HealthRegistry) { self.registry = registry }

  /// The status at this moment; `NOT_FOUND` for a service that is not known.
  public func check(
    _ request: ChanceryV1.HealthCheckRequest, context: ServerContext
  ) async throws -> ChanceryV1.HealthCheckResponse {
    try checkName(request.service)
    guard let status = registry.status(of: request.service) else {
      throw RPCError(.notFound, "there is no service '\(request.service)' here")
    }
    return ChanceryV1.HealthCheckResponse(status: status.message)
  }

  /// The status at this moment and after each change; a watcher that is behind sees the newest. Ends with `UNAVAILABLE`
  /// when the server closes.
  public func watch(
    _ request: ChanceryV1.HealthCheckRequest, replies: RPCWriter<ChanceryV1.HealthCheckResponse>, context: ServerContext
  ) async throws {
    try checkName(request.service)
    let bell = Doorbell()
    try await registry.watching(request.service, bell) {
      var told: ChanceryV1.HealthCheckResponse.ServingStatus?
      while true {
        let (status, isEnding) = registry.look(at: request.service)
        let message = status?.message ?? .serviceUnknown
        if message != told { try await replies.write(ChanceryV1.HealthCheckResponse(status: message)) }
        told = message
        if isEnding { throw RPCError(.unavailable, "the server is stopping") }
        await bell.wait()
        try Task.checkCancellation()
      }
    }
  }

  private func checkName(_ name: String) throws(RPCError) {
    guard name.utf8.count <= 200 else {
      throw RPCError(.invalidArgument, "service '\(name.prefix(64))...' is longer than 200 bytes")
    }
  }
}

extension HealthRegistry.Status {
  fileprivate var message: ChanceryV1.HealthCheckResponse.ServingStatus {
    switch self {
    case .serving: .serving
    case .notServing: .notServing
    }
  }
}
