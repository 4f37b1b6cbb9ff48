import RPC
import RPCMemory
import RPCTestSupport
import Synchronization
import Testing
import TimeAndChance

/// What a handler's calls take over from the call it serves: never more time than that has, and its trace.
@Suite struct CallScopeTests {
  private static let relay = MethodDescriptor(service: "test.v1.Relay", method: "Relay", shape: .unary)
  private static let relayStream = MethodDescriptor(
    service: "test.v1.Relay", method: "RelayStream", shape: .serverStreaming)

  /// What the last server saw.
  private struct Seen: Sendable, Hashable {
    var left: Duration?
    var trace: TraceContext?
  }

  /// Calls a server that calls another, and tells what that saw.
  private func relayed(
    _ options: CallOptions, inner: CallOptions = CallOptions(), streams: Bool = false,
    scope: CallScope? = nil
  ) throws -> Seen {
    let simulation = Simulation()
    let seen = Mutex(Seen())
    try simulation.run { [simulation] in
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      func channel(from source: String, to target: String) -> ClientChannel {
        ClientChannel(
          connectors: [network.connector(from: source, to: target)], clock: simulation.clock,
          random: SeededRandom(seed: 7))
      }
      let last = TestService([
        .unary(TestService.unary) { (request: TestMessage, context) in
          seen.withLock {
            $0.left = context.deadline.map { simulation.clock.now.duration(to: $0) }
            $0.trace = TraceContext(context.metadata)
          }
          return request
        }
      ])
      _ = network.serve(TestService.router(last), as: "last")
      let onward = channel(from: "relay", to: "last")
      let relay = TestService([
        .unary(Self.relay) { (request: TestMessage, _) -> TestMessage in
          try await simulation.clock.sleep(for: .seconds(2))
          return try await onward.unary(TestService.unary, request, options: inner)
        },
        .serverStreaming(Self.relayStream) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
          try await simulation.clock.sleep(for: .seconds(2))
          try await replies.write(try await onward.unary(TestService.unary, request, options: inner))
        },
      ])
      _ = network.serve(TestService.router(relay), as: "relay")
      let first = channel(from: "client", to: "relay")
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await onward.run() }
        group.addTask { await first.run() }
        defer { group.cancelAll() }
        try await CallScope.$current.withValue(scope) {
          if streams {
            try await first.serverStreaming(Self.relayStream, TestMessage("x"), options: options) {
              (replies: RPCReader<TestMessage>) in while try await replies.next() != nil {}
            }
          } else {
            let _: TestMessage = try await first.unary(Self.relay, TestMessage("x"), options: options)
          }
        }
      }
    }
    return seen.withLock { $0 }
  }

  @Test(arguments: [false, true]) func theDeadlineGoesOn(streams: Bool) throws {
    let options = CallOptions(timeout: .seconds(10))
    #expect(try relayed(options, streams: streams).left == .seconds(8))
    #expect(try relayed(options, inner: CallOptions(timeout: .seconds(3)), streams: streams).left == .seconds(3))
    #expect(try relayed(options, inner: CallOptions(timeout: .seconds(30)), streams: streams).left == .seconds(8))
    #expect(try relayed(CallOptions(), streams: streams).left == nil)
    #expect(try relayed(CallOptions(), inner: CallOptions(timeout: .seconds(3))).left == .seconds(3))
  }

  @Test(arguments: [false, true]) func theTraceGoesOn(streams: Bool) throws {
    let random = SeededRandom(seed: 3)
    let trace = TraceContext(random: random, isSampled: true)
    var metadata = Metadata()
    trace.write(to: &metadata)
    metadata.add("vendor=1", for: "tracestate")
    let seen = try #require(try relayed(CallOptions(metadata: metadata), streams: streams).trace)
    #expect(seen.traceID == trace.traceID && seen.flags == 1 && seen.state == "vendor=1")
    #expect(seen.spanID != trace.spanID)
    #expect(try relayed(CallOptions(), streams: streams).trace == nil)
    // A caller has one in its scope, as a handler does.
    #expect(try relayed(CallOptions(), scope: CallScope(trace: trace)).trace?.traceID == trace.traceID)
    // What the handler says itself counts.
    let other = TraceContext(random: random)
    var own = Metadata()
    other.write(to: &own)
    #expect(try relayed(CallOptions(metadata: metadata), inner: CallOptions(metadata: own)).trace == other)
  }

  @Test(arguments: [
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": true,
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings": true,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more": false,
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": false,
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x": false,
    "00-4bf92f3577b34da6a3ce929d0e0e47360-00f067aa0ba902b7-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b70-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011": false,
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-": false,
    "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
    "000-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
    "FF-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
    "00-.bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
    " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
    "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": true,
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-": true,
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what": false,
    "": false,
  ]) func traceparentIsReadAsTheStandardSays(text: String, isValid: Bool) {
    let trace = TraceContext(["traceparent": text])
    #expect((trace != nil) == isValid)
    if let trace {
      #expect(trace.traceID == "4bf92f3577b34da6a3ce929d0e0e4736" && trace.spanID == "00f067aa0ba902b7")
      #expect(trace.flags == 1 && trace.state == nil)
      var metadata = Metadata()
      trace.write(to: &metadata)
      #expect(metadata["traceparent"] == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    }
  }

  @Test func ofSeveralParentsNoneCounts() {
    let parents = ["4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737"].map {
      "00-\($0)-00f067aa0ba902b7-01"
    }
    var metadata: Metadata = ["traceparent": parents[0]]
    #expect(TraceContext(metadata) != nil)
    metadata.add(parents[1], for: "traceparent")
    #expect(TraceContext(metadata) == nil)
  }

  /// A system passes on the flags that the standard knows, whatever the version.
  @Test(arguments: ["00": 0, "01": 1, "02": 2, "03": 3, "08": 0, "ff": 3] as [String: UInt8]) func flags(
    text: String, flags: UInt8
  ) {
    for version in ["00", "01", "fe"] {
      let trace = TraceContext(parent: "\(version)-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\(text)")
      #expect(trace?.flags == flags)
      #expect(trace?.parent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\(flags)")
    }
  }

  @Test func theStateIsPassedOnAsItIsUpToABound() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    func state(_ text: String?) -> String? { TraceContext(parent: parent, state: text)?.state }
    let longest = "a=" + String(repeating: "x", count: 510)
    for text in ["vendor=1", "b=2 ,a=1", "no state at all", longest] { #expect(state(text) == text) }
    for text in [nil, "", "a=\0", longest + "x"] { #expect(state(text) == nil) }
    // Several headers are one.
    var metadata: Metadata = ["traceparent": parent, "tracestate": "a=1"]
    metadata.add("b=2", for: "tracestate")
    #expect(TraceContext(metadata)?.state == "a=1,b=2")
    var written = Metadata()
    TraceContext(metadata)?.write(to: &written)
    #expect(written == ["traceparent": parent, "tracestate": "a=1,b=2"])
  }

  @Test func sixteenBytesNameATrace() {
    let trace = TraceContext(bytes: [0x4b] + Array(repeating: 0, count: 14) + [0x36])
    #expect(trace?.parent == "00-4b000000000000000000000000000036-0000000000000036-00")
    #expect(TraceContext(bytes: Array(repeating: 0, count: 16)) == nil)
    #expect(TraceContext(bytes: [1, 2]) == nil)
  }

  @Test func aChildIsInTheSameTrace() {
    let trace = TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", state: "vendor=1")!
    let child = trace.child(random: SeededRandom(seed: 4))
    #expect(child.traceID == trace.traceID && child.flags == 1 && child.state == "vendor=1")
    #expect(child.spanID != trace.spanID)
    #expect(TraceContext(parent: child.parent, state: child.state) == child)
  }
}
