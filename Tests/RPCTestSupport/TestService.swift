package import RPC

/// Methods of every shape, served by closures.
package struct TestService: RPCService {
  package let methodHandlers: [MethodHandler]

  package init(_ methodHandlers: [MethodHandler]) { self.methodHandlers = methodHandlers }

  package static func method(_ name: String, _ shape: CallShape) -> MethodDescriptor {
    MethodDescriptor(service: "test.v1.Test", method: name, shape: shape)
  }

  package static let unary = method("Unary", .unary)
  package static let clientStreaming = method("ClientStreaming", .clientStreaming)
  package static let serverStreaming = method("ServerStreaming", .serverStreaming)
  package static let bidirectional = method("Bidirectional", .bidirectional)

  /// Echoes: one message as it is, a stream joined with commas, one message split at commas, a stream as it is.
  package static let echo = TestService([
    .unary(unary) { (request: TestMessage, _) in request },
    .clientStreaming(clientStreaming) { (requests: RPCReader<TestMessage>, _) in
      var parts: [String] = []
      for try await request in requests { parts.append(request.text) }
      return TestMessage(parts.joined(separator: ","))
    },
    .serverStreaming(serverStreaming) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
      for part in request.text.split(separator: ",") { try await replies.write(TestMessage(String(part))) }
    },
    .bidirectional(bidirectional) { (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
      for try await request in requests { try await replies.write(request) }
    },
  ])

  /// A router for these services that records nothing.
  package static func router(_ services: any RPCService...) -> RPCRouter {
    RPCRouter(services: services) { _, _ in }
  }
}
