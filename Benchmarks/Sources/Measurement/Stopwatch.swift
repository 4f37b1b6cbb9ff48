import Foundation

/// Times calls to a server, and counts the CPU time of both ends.
public struct Stopwatch: Sendable {
  private let server: Int32

  /// - Parameter server: the process of the server.
  public init(server: Int32) { self.server = server }

  /// Times a body that moves `count` messages.
  public func time(_ kind: CallKind, count: Int, _ body: () async throws -> Void) async throws -> BenchRow {
    let (client, server) = (CPUTime.ofThisProcess, CPUTime.of(server))
    let started = ContinuousClock.now
    try await body()
    let seconds = started.duration(to: .now).inSeconds
    let per100k = 100_000 / Double(count)
    return BenchRow(
      kind: kind, messagesPerSecond: Double(count) / seconds,
      clientCPU: (CPUTime.ofThisProcess - client) * per100k, serverCPU: (CPUTime.of(self.server) - server) * per100k)
  }

  /// Times calls with one reply of 100 bytes, `inFlight` at a time, each in a row of its own.
  public func timeUnary(
    inFlight: Int, count: Int, _ call: @escaping @Sendable () async throws -> Void
  ) async throws -> BenchRow {
    let each = count / inFlight
    var times: [Duration] = []
    let kind = CallKind("unary", bytes: 100, inFlight: inFlight)
    var row = try await time(kind, count: each * inFlight) {
      times = try await withThrowingTaskGroup(of: [Duration].self) { group in
        for _ in 0..<inFlight {
          group.addTask {
            var times: [Duration] = []
            times.reserveCapacity(each)
            for _ in 0..<each {
              let started = ContinuousClock.now
              try await call()
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
}

extension Duration {
  fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
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
