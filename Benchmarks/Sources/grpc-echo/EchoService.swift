import GRPCCore

/// What the benchmark calls: methods of bytes.
struct EchoService: RegistrableRPCService {
  private static let service = ServiceDescriptor(fullyQualifiedService: "chancery.bench.Echo")
  /// Gives back its request.
  static let unary = MethodDescriptor(service: service, method: "Unary")
  /// Sends so many messages of so many bytes: two numbers of four bytes, little-endian.
  static let down = MethodDescriptor(service: service, method: "Down")
  /// Takes all messages and says nothing.
  static let up = MethodDescriptor(service: service, method: "Up")
  /// Gives back each message.
  static let echo = MethodDescriptor(service: service, method: "Echo")

  static func request(count: Int, bytes: Int) -> [UInt8] {
    [UInt32(count), UInt32(bytes)].flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
  }

  func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
    register(Self.unary, with: &router) { request in
      let request = try await ServerRequest(stream: request)
      return StreamingServerResponse(single: ServerResponse(message: request.message))
    }
    register(Self.down, with: &router) { request in
      let request = try await ServerRequest(stream: request).message
      guard request.count == 8 else { throw RPCError(code: .invalidArgument, message: "the request has 8 bytes") }
      let numbers = [0, 4].map { start in (0..<4).reduce(0) { $0 | Int(request[start + $1]) << (8 * $1) } }
      let message = [UInt8](repeating: 7, count: numbers[1])
      return StreamingServerResponse { writer in
        for _ in 0..<numbers[0] { try await writer.write(message) }
        return [:]
      }
    }
    register(Self.up, with: &router) { request in
      for try await _ in request.messages {}
      return StreamingServerResponse(single: ServerResponse(message: []))
    }
    register(Self.echo, with: &router) { request in
      StreamingServerResponse { writer in
        for try await message in request.messages { try await writer.write(message) }
        return [:]
      }
    }
  }

  private func register<Transport: ServerTransport>(
    _ method: MethodDescriptor, with router: inout RPCRouter<Transport>,
    _ body: @escaping @Sendable (StreamingServerRequest<[UInt8]>) async throws -> StreamingServerResponse<[UInt8]>
  ) {
    router.registerHandler(forMethod: method, deserializer: ByteCodec(), serializer: ByteCodec()) { request, _ in
      try await body(request)
    }
  }
}

/// A message is its bytes.
struct ByteCodec: MessageSerializer, MessageDeserializer {
  func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) -> Bytes { Bytes(message) }

  func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}
