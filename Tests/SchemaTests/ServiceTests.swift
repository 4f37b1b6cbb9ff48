import ProtobufRuntime
import RPC
import Schema
import TestSchema
import Testing

// Proves that the generated stubs describe the services as the `.proto` files do, and that a server can be written
// against the generated protocol; the stub bodies are one call each and are exercised by the RPC tests.
@Suite struct ServiceTests {
  @Test func `descriptors carry names, shapes and idempotency`() {
    let methods = ChanceryTestingV1.Everything.methods
    #expect(ChanceryTestingV1.Everything.serviceName == "chancery.testing.v1.Everything")
    #expect(methods.allSatisfy { $0.service == "chancery.testing.v1.Everything" })
    #expect(methods.map(\.method) == ["Echo", "Put", "Watch", "Work", "Import"])
    #expect(methods.map(\.shape) == [.unary, .clientStreaming, .serverStreaming, .bidirectional, .unary])
    #expect(methods.map(\.idempotency) == [.idempotent, .unknown, .noSideEffects, .unknown, .unknown])
    #expect(ChanceryTestingV1.Everything.import == methods[4])
    #expect(ChanceryV1.Health.methods.map(\.method) == ["Check", "Watch"])
  }

  @Test func `a server has one handler for each method`() {
    #expect(Server().methodHandlers.map(\.method) == ChanceryTestingV1.Everything.methods)
  }

  private struct Server: ChanceryTestingV1.Everything.Service {
    typealias V1 = ChanceryTestingV1

    func echo(_ request: V1.Scalars, context: ServerContext) async throws -> V1.Scalars { request }

    func put(_ requests: RPCReader<V1.Chunk>, context: ServerContext) async throws -> V1.Presence { V1.Presence() }

    func watch(_ request: V1.Presence, replies: RPCWriter<V1.Chunk>, context: ServerContext) async throws {}

    func work(_ requests: RPCReader<V1.Chunk>, replies: RPCWriter<V1.Seal>, context: ServerContext) async throws {}

    func `import`(_ request: V1.Names, context: ServerContext) async throws -> V1.Outer.Empty { V1.Outer.Empty() }
  }
}
