public import RPC
public import Schema

/// Serves `chancery.v1.Reflection`: what a server serves, and the schema that this program was compiled with.
public struct ReflectionEndpoint: ChanceryV1.Reflection.Service {
  private let services: [String]

  /// Tells of a server with these services; itself is added.
  public init(_ services: [any RPCService]) {
    let names = services.flatMap(\.methodHandlers).map(\.method.service) + [ChanceryV1.Reflection.serviceName]
    self.services = Set(names).sorted()
  }

  /// The services, by name.
  public func listServices(
    _ request: ChanceryV1.ListServicesRequest, context: ServerContext
  ) async throws -> ChanceryV1.ListServicesResponse { ChanceryV1.ListServicesResponse(services: services) }

  /// The whole schema, which is small.
  public func getDescriptors(
    _ request: ChanceryV1.GetDescriptorsRequest, context: ServerContext
  ) async throws -> ChanceryV1.GetDescriptorsResponse {
    ChanceryV1.GetDescriptorsResponse(fileDescriptorSet: SchemaDescriptors.fileDescriptorSet)
  }
}
