import Logging
import RPC
import RPCMemory
import RPCTestSupport
import ServiceHost
import Testing
import TimeAndChance

/// The calls of each method are counted on both sides, with their codes, times and bytes, and written as Prometheus reads them.
@Suite struct CallMeterTests {
  private let simulation = Simulation()

  /// Calls a server as `body` does; returns what each side counted, without comments.
  private func lines(
    _ body: @escaping @Sendable (any RPCChannel) async throws -> Void
  ) throws -> (server: [String], client: [String]) {
    let registries = [0, 1].map { _ in MetricsRegistry(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
    let (server, client) = (CallMeter(.server, clock: simulation.clock), CallMeter(.client, clock: simulation.clock))
    registries[0].add(server)
    registries[1].add(client)
    try simulation.run { [simulation] in
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      let service = TestService([
        .unary(TestService.unary) { (request: TestMessage, _) in
          try await simulation.clock.sleep(for: .milliseconds(request.payload.count))
          if request.text.hasPrefix("fail") { throw RPCError(.aborted, "as asked") }
          return request
        },
        TestService.echo.methodHandlers[3],
      ])
      let router = RPCRouter(services: [service], interceptors: [server]) { _, _ in }
      _ = network.serve(router, as: "server")
      let channel = ClientChannel(
        connectors: [network.connector(from: "client", to: "server")], clock: simulation.clock)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        defer { group.cancelAll() }
        try await body(InterceptingChannel(channel, [client]))
      }
    }
    let texts = registries.map { registry in
      registry.exposition().split(separator: "\n").map(String.init).filter { $0.hasPrefix("chancery_rpc") }
    }
    return (texts[0], texts[1])
  }

  @Test func everyCallIsCounted() throws {
    let (server, client) = try lines { channel in
      for text in ["x", "fail", String(repeating: "y", count: 20)] {
        let _: TestMessage? = try? await channel.unary(TestService.unary, TestMessage(text), options: CallOptions())
      }
    }
    let method = #"method="test.v1.Test/Unary""#
    let totals = [
      "chancery_rpc_server_calls_in_flight{\(method)} 0",
      #"chancery_rpc_server_calls_total{code="ABORTED",\#(method)} 1"#,
      #"chancery_rpc_server_calls_total{code="OK",\#(method)} 2"#,
      "chancery_rpc_server_received_bytes_total{\(method)} 25", "chancery_rpc_server_sent_bytes_total{\(method)} 21",
    ]
    #expect(server.filter { !$0.contains("duration") } == totals)
    let durations = server.filter { $0.contains("duration") }
    let bounds = [
      "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0",
      "2.5", "5.0", "10.0", "+Inf",
    ]
    // 1 ms, 4 ms and 20 ms.
    let counts = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    #expect(
      durations
        == zip(bounds, counts).map { bound, count in
          #"chancery_rpc_server_call_duration_seconds_bucket{le="\#(bound)",\#(method)} \#(count)"#
        } + [
          "chancery_rpc_server_call_duration_seconds_count{\(method)} 3",
          "chancery_rpc_server_call_duration_seconds_sum{\(method)} 0.025",
        ])
    #expect(client.contains(#"chancery_rpc_client_calls_total{code="ABORTED",\#(method)} 1"#))
    #expect(client.contains("chancery_rpc_client_sent_bytes_total{\(method)} 25"))
    #expect(client.contains("chancery_rpc_client_received_bytes_total{\(method)} 21"))
  }

  @Test func streamsAreCountedWhileTheyRun() throws {
    let (server, client) = try lines { channel in
      try await channel.bidirectional(TestService.bidirectional, options: CallOptions()) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        for _ in 0..<3 {
          try await requests.write("12345")
          _ = try await replies.next()
        }
      }
    }
    let method = #"method="test.v1.Test/Bidirectional""#
    for (side, lines) in [("server", server), ("client", client)] {
      #expect(lines.contains("chancery_rpc_\(side)_sent_bytes_total{\(method)} 15"))
      #expect(lines.contains("chancery_rpc_\(side)_received_bytes_total{\(method)} 15"))
    }
    // The caller went before the end: cancelled for itself at once.
    #expect(client.contains(#"chancery_rpc_client_calls_total{code="CANCELLED",\#(method)} 1"#))
    #expect(client.contains("chancery_rpc_client_calls_in_flight{\(method)} 0"))
  }
}
