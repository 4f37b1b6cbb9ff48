import RPC
import RPCTestSupport

/// The test service of gRPC's interoperability cases, over messages of our own: a request is the sizes of the replies that it
/// wants, as text, and padding; a reply is zeros.
enum GRPCCaseService {
  static func method(_ name: String, _ shape: CallShape) -> MethodDescriptor {
    MethodDescriptor(service: "grpc.testing.TestService", method: name, shape: shape)
  }

  static let emptyCall = method("EmptyCall", .unary)
  static let unaryCall = method("UnaryCall", .unary)
  static let streamingInputCall = method("StreamingInputCall", .clientStreaming)
  static let streamingOutputCall = method("StreamingOutputCall", .serverStreaming)
  static let fullDuplexCall = method("FullDuplexCall", .bidirectional)
  static let unimplementedCall = method("UnimplementedCall", .unary)

  /// A request of `size` bytes, or as many as it needs, for replies of these sizes.
  static func request(_ size: Int = 0, replies: [Int] = []) -> TestMessage {
    let text = Array(replies.map(String.init).joined(separator: ",").utf8) + [0]
    return TestMessage(text + [UInt8](repeating: 0, count: max(0, size - text.count)))
  }

  static func sizes(_ request: TestMessage) -> [Int] {
    String(decoding: request.payload.prefix { $0 != 0 }, as: UTF8.self).split(separator: ",").compactMap { Int($0) }
  }

  static func reply(_ size: Int) -> TestMessage { TestMessage([UInt8](repeating: 0, count: size)) }

  /// Does what the metadata asks for: echoes pairs, fails.
  private static func obey(_ context: ServerContext) throws {
    if let text = context.metadata["x-grpc-test-echo-initial"] {
      context.reply.headers = ["x-grpc-test-echo-initial": text]
    }
    if let bytes = context.metadata.bytes(for: "x-grpc-test-echo-trailing-bin") {
      var trailers = Metadata()
      trailers.add(bytes: bytes, for: "x-grpc-test-echo-trailing-bin")
      context.reply.trailers = trailers
    }
    guard let code = context.metadata["x-status-code"].flatMap({ Int32($0) }) else { return }
    throw RPCError(StatusCode(rawValue: code), context.metadata["x-status-message"] ?? "")
  }

  static let service = TestService([
    .unary(emptyCall) { (_: TestMessage, _) in TestMessage() },
    .unary(unaryCall) { (request: TestMessage, context) in
      try obey(context)
      return reply(sizes(request).first ?? 0)
    },
    .clientStreaming(streamingInputCall) { (requests: RPCReader<TestMessage>, _) in
      var total = 0
      for try await request in requests { total += request.payload.count }
      return TestMessage("\(total)")
    },
    .serverStreaming(streamingOutputCall) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
      for size in sizes(request) { try await replies.write(reply(size)) }
    },
    .bidirectional(fullDuplexCall) { (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, context) in
      try obey(context)
      for try await request in requests {
        for size in sizes(request) { try await replies.write(reply(size)) }
      }
    },
  ])
}
