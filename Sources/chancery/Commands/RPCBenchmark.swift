import Foundation
import RPC
import TimeAndChance

/// What the benchmark calls: methods of bytes.
struct RPCBenchService: RPCService {
  private static let name = "chancery.bench.Echo"
  /// Gives back its request.
  static let unary = MethodDescriptor(service: name, method: "Unary", shape: .unary)
  /// Sends so many messages of so many bytes: two numbers of four bytes, little-endian.
  static let down = MethodDescriptor(service: name, method: "Down", shape: .serverStreaming)
  /// Takes all messages and says nothing.
  static let up = MethodDescriptor(service: name, method: "Up", shape: .clientStreaming)
  /// Takes no message, until it is cancelled.
  static let idle = MethodDescriptor(service: name, method: "Idle", shape: .clientStreaming)
  /// Gives back each message.
  static let echo = MethodDescriptor(service: name, method: "Echo", shape: .bidirectional)

  static func request(count: Int, bytes: Int) -> [UInt8] {
    [UInt32(count), UInt32(bytes)].flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
  }

  var methodHandlers: [MethodHandler] {
    [
      MethodHandler(Self.unary, body: .unary { request, _ in Array(request) }),
      MethodHandler(
        Self.down,
        body: .streams { call, _ in
          guard let request = try await call.next(), request.count == 8 else {
            throw RPCError(.invalidArgument, "the request has 8 bytes")
          }
          let numbers = [0, 4].map { start in
            (0..<4).reduce(0) { $0 | Int(request[request.startIndex + start + $1]) << (8 * $1) }
          }
          let message = [UInt8](repeating: 7, count: numbers[1])
          for _ in 0..<numbers[0] { try await call.send(message) }
        }),
      MethodHandler(
        Self.up,
        body: .streams { call, _ in
          while try await call.next() != nil {}
          call.reply([])
        }),
      MethodHandler(Self.idle, body: .streams { _, _ in try await Task.sleep(for: .seconds(1 << 20)) }),
      MethodHandler(
        Self.echo,
        body: .streams { call, _ in
          while let message = try await call.next() { try await call.send(Array(message)) }
        }),
    ]
  }
}

/// Measures each shape of call.
struct RPCBenchmark {
  let channel: ClientChannel
  /// The process of the server, whose CPU time is counted.
  let server: Int32

  func measure(rounds: Int) async throws -> [RPCBenchRow] {
    _ = try await unary(inFlight: 1, count: 500)
    var runs: [[RPCBenchRow]] = []
    for _ in 0..<rounds {
      runs.append([
        try await unary(inFlight: 1, count: 20_000), try await unary(inFlight: 64, count: 100_000),
        try await down(1_024, count: 200_000), try await down(102_400, count: 10_000),
        try await up(1_024, count: 200_000), try await up(102_400, count: 10_000),
        try await echo(100, count: 20_000), try await echo(1_024, count: 20_000),
        try await besideUnreadStreams(),
      ])
    }
    return runs[0].indices.map { index in RPCBenchRow.median(runs.map { $0[index] }) }
  }

  private func unary(inFlight: Int, count: Int) async throws -> RPCBenchRow {
    let message = [UInt8](repeating: 42, count: 100)
    var times: [Duration] = []
    var row = try await timed("unary", bytes: 100, inFlight: inFlight, count: count / inFlight * inFlight) {
      times = try await withThrowingTaskGroup(of: [Duration].self) { group in
        for _ in 0..<inFlight {
          group.addTask {
            var times: [Duration] = []
            times.reserveCapacity(count / inFlight)
            for _ in 0..<count / inFlight {
              let started = ContinuousClock.now
              _ = try await channel.unaryBytes(RPCBenchService.unary, message, options: CallOptions(waitForReady: true))
              times.append(started.duration(to: .now))
            }
            return times
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
    }
    times.sort()
    row.p50 = times[times.count / 2].inSeconds * 1e6
    row.p99 = times[times.count * 99 / 100].inSeconds * 1e6
    return row
  }

  private func down(_ bytes: Int, count: Int) async throws -> RPCBenchRow {
    try await timed("server stream", bytes: bytes, count: count) {
      let request = RPCBenchService.request(count: count, bytes: bytes)
      let call = try await channel.open(RPCBenchService.down, request: request, options: CallOptions())
      while try await call.next() != nil {}
    }
  }

  private func up(_ bytes: Int, count: Int) async throws -> RPCBenchRow {
    let message = [UInt8](repeating: 9, count: bytes)
    return try await timed("client stream", bytes: bytes, count: count) {
      let call = try await channel.open(RPCBenchService.up, request: [], options: CallOptions())
      for _ in 0..<count { try await call.send(message) }
      call.finish()
      while try await call.next() != nil {}
    }
  }

  /// A message goes forth and back before the next.
  private func echo(_ bytes: Int, count: Int) async throws -> RPCBenchRow {
    let message = [UInt8](repeating: 9, count: bytes)
    return try await timed("bidirectional", bytes: bytes, count: count) {
      let call = try await channel.open(RPCBenchService.echo, request: [], options: CallOptions())
      for _ in 0..<count {
        try await call.send(message)
        _ = try await call.next()
      }
      call.finish()
      while try await call.next() != nil {}
    }
  }

  /// Calls beside two streams of a gigabyte, one each way, that are opened and not read: neither delays them nor is kept.
  private func besideUnreadStreams() async throws -> RPCBenchRow {
    let (count, bytes) = (10_000, 102_400)
    let before = ResidentMemory.of(getpid()) + ResidentMemory.of(server)
    let request = RPCBenchService.request(count: count, bytes: bytes)
    let down = try await channel.open(RPCBenchService.down, request: request, options: CallOptions())
    let up = try await channel.open(RPCBenchService.idle, request: [], options: CallOptions())
    var row = try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let message = [UInt8](repeating: 9, count: bytes)
        // Ends when the call is cancelled, with an error that says so.
        for _ in 0..<count { guard (try? await up.send(message)) != nil else { return } }
      }
      let row = try await unary(inFlight: 1, count: 20_000)
      up.cancel()
      down.cancel()
      return row
    }
    row.call = "unary beside 1 GB unread"
    row.memoryGrowth = max(0, ResidentMemory.of(getpid()) + ResidentMemory.of(server) - before)
    return row
  }

  private func timed(
    _ name: String, bytes: Int, inFlight: Int = 1, count: Int, _ body: () async throws -> Void
  ) async throws -> RPCBenchRow {
    let (client, server) = (CPUTime.ofThisProcess, CPUTime.of(server))
    let started = ContinuousClock.now
    try await body()
    let seconds = started.duration(to: .now).inSeconds
    let per100k = 100_000 / Double(count)
    return RPCBenchRow(
      call: name, bytes: bytes, inFlight: inFlight, messagesPerSecond: Double(count) / seconds,
      clientCPU: (CPUTime.ofThisProcess - client) * per100k, serverCPU: (CPUTime.of(self.server) - server) * per100k)
  }
}

/// CPU seconds, of user and system together.
private enum CPUTime {
  static var ofThisProcess: Double { of(getpid()) }

  /// From /proc, in hundredths of a second.
  static func of(_ pid: Int32) -> Double {
    let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    // The name of the program, in parentheses, may have spaces.
    let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }
}

/// What of a process is in memory, in MiB.
private enum ResidentMemory {
  static func of(_ pid: Int32) -> Double {
    let statm = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
    let pages = statm.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
    return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576
  }
}

/// How one kind of call did.
struct RPCBenchRow: TableRow {
  var call: String
  var bytes: Int
  var inFlight: Int
  var messagesPerSecond: Double
  /// In microseconds; only of calls with one reply.
  var p50: Double?
  var p99: Double?
  /// CPU seconds for 100,000 messages.
  var clientCPU: Double
  var serverCPU: Double
  /// In MiB, of both processes together; only where it is measured.
  var memoryGrowth: Double?

  enum CodingKeys: String, CodingKey {
    case call, bytes
    case inFlight = "in_flight"
    case messagesPerSecond = "messages_per_second"
    case p50 = "p50_us"
    case p99 = "p99_us"
    case clientCPU = "client_cpu_seconds_per_100k"
    case serverCPU = "server_cpu_seconds_per_100k"
    case memoryGrowth = "memory_growth_mib"
  }

  /// Of the same kind of call in each round.
  static func median(_ rows: [RPCBenchRow]) -> RPCBenchRow {
    var row = rows[0]
    func median(_ value: KeyPath<RPCBenchRow, Double>) -> Double { BenchReport.median(rows.map { $0[keyPath: value] }) }
    row.messagesPerSecond = median(\.messagesPerSecond).rounded()
    row.clientCPU = (median(\.clientCPU) * 1000).rounded() / 1000
    row.serverCPU = (median(\.serverCPU) * 1000).rounded() / 1000
    if row.memoryGrowth != nil { row.memoryGrowth = rows.compactMap(\.memoryGrowth).max()?.rounded() }
    if row.p50 != nil { row.p50 = BenchReport.median(rows.compactMap(\.p50)).rounded() }
    if row.p99 != nil { row.p99 = BenchReport.median(rows.compactMap(\.p99)).rounded() }
    return row
  }

  static let columns = [
    TableColumn("CALL"), TableColumn("BYTES", isNumber: true), TableColumn("IN FLIGHT", isNumber: true),
    TableColumn("MESSAGES/S", isNumber: true), TableColumn("MB/S", isNumber: true),
    TableColumn("P50 µS", isNumber: true),
    TableColumn("P99 µS", isNumber: true), TableColumn("CLIENT CPU/100K", isNumber: true),
    TableColumn("SERVER CPU/100K", isNumber: true), TableColumn("GROWTH MIB", isNumber: true),
  ]

  var resourceName: String { "call/\(call.replacing(" ", with: "-"))-\(bytes)-\(inFlight)" }

  var cells: [String] {
    [
      call, Int64(bytes).grouped, String(inFlight), Int64(messagesPerSecond).grouped,
      (messagesPerSecond * Double(bytes) / 1e6).text(digits: 0), p50.map { $0.text(digits: 0) } ?? "",
      p99.map { $0.text(digits: 0) } ?? "", clientCPU.text(digits: 2), serverCPU.text(digits: 2),
      memoryGrowth.map { $0.text(digits: 0) } ?? "",
    ]
  }
}
