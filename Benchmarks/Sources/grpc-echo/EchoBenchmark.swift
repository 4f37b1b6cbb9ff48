import GRPCCore
import Measurement

/// Measures each shape of call, with fewer messages than `chancery bench rpc`: this takes longer for each.
struct EchoBenchmark<Transport: ClientTransport> {
  let client: GRPCClient<Transport>
  let stopwatch: Stopwatch

  private var options: CallOptions {
    var options = CallOptions.defaults
    // Fails when the server is lost, instead of waiting for another.
    options.waitForReady = false
    return options
  }

  func run(_ report: (BenchRow) throws -> Void) async throws {
    _ = try await unary(inFlight: 1, count: 500)
    try report(try await unary(inFlight: 1, count: 5_000))
    try report(try await unary(inFlight: 64, count: 20_000))
    try report(try await down(1_024, count: 100_000))
    try report(try await down(102_400, count: 5_000))
    try report(try await up(1_024, count: 100_000))
    try report(try await up(102_400, count: 2_500))
    try report(try await echo(100, count: 5_000))
    try report(try await echo(1_024, count: 5_000))
  }

  private func unary(inFlight: Int, count: Int) async throws -> BenchRow {
    let message = [UInt8](repeating: 42, count: 100)
    let (client, options) = (client, options)
    return try await stopwatch.timeUnary(inFlight: inFlight, count: count) {
      try await client.unary(
        request: ClientRequest(message: message), descriptor: EchoService.unary, serializer: ByteCodec(),
        deserializer: ByteCodec(), options: options
      ) { response in try check(try response.message.count, message.count) }
    }
  }

  private func down(_ bytes: Int, count: Int) async throws -> BenchRow {
    try await stopwatch.time(CallKind("server stream", bytes: bytes), count: count) {
      try await client.serverStreaming(
        request: ClientRequest(message: EchoService.request(count: count, bytes: bytes)), descriptor: EchoService.down,
        serializer: ByteCodec(), deserializer: ByteCodec(), options: options
      ) { response in
        var received = 0
        for try await message in response.messages { received += message.count }
        try check(received, bytes * count)
      }
    }
  }

  private func up(_ bytes: Int, count: Int) async throws -> BenchRow {
    let message = [UInt8](repeating: 9, count: bytes)
    return try await stopwatch.time(CallKind("client stream", bytes: bytes), count: count) {
      try await client.clientStreaming(
        request: StreamingClientRequest { writer in for _ in 0..<count { try await writer.write(message) } },
        descriptor: EchoService.up, serializer: ByteCodec(), deserializer: ByteCodec(), options: options
      ) { response in try check(try response.message.count, 0) }
    }
  }

  /// A message goes forth and back before the next.
  private func echo(_ bytes: Int, count: Int) async throws -> BenchRow {
    let message = [UInt8](repeating: 9, count: bytes)
    return try await stopwatch.time(CallKind("bidirectional", bytes: bytes), count: count) {
      // Requests are written in one task and replies are read in another: each reply lets the next request go.
      let (turns, next) = AsyncStream<Void>.makeStream()
      next.yield()
      try await client.bidirectionalStreaming(
        request: StreamingClientRequest { writer in for await _ in turns { try await writer.write(message) } },
        descriptor: EchoService.echo, serializer: ByteCodec(), deserializer: ByteCodec(), options: options
      ) { response in
        defer { next.finish() }
        var received = 0
        for try await _ in response.messages {
          received += 1
          if received < count { next.yield() } else { next.finish() }
        }
        try check(received, count)
      }
    }
  }
}

/// What is measured must also be right.
private func check(_ received: Int, _ expected: Int) throws {
  guard received == expected else { throw BenchError("grpc-echo: \(received) came where \(expected) were expected") }
}
