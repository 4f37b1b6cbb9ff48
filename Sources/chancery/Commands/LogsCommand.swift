public import ArgumentParser
import FoundationEssentials
import RPC
import Schema
public import Storage
import TimeAndChance

struct LogsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs", abstract: "Show what services have reported, or follow it.",
    discussion: """
      The last events that pass all filters, the oldest first. With --follow also those that come from then on, until Ctrl-C or \
      --timeout, over interruptions of the connection. Debug events stay in the logs of the services. \
      Example: chancery logs --since 10m --level warning
      """)

  @Flag(name: .shortAndLong, help: "Go on with events as they come: as table, wide, jsonl or name.") var follow = false
  @Option(
    name: [.customLong("tail"), .customLong("limit")], parsing: .unconditional,
    help: "How many of the last events; by default 100, with --since 10000, with --follow 10.")
  var tail: Int?
  @Option(help: "From then on: so long ago, such as 90s, 10m or 2h30m, or a time (RFC 3339).") var since: LogTime?
  @Option(help: "Before then: as --since.") var until: LogTime?
  @Option(
    help: "This level and those above: debug, info, warning, error.", completion: .list(["info", "warning", "error"]))
  var level = EventLevel.debug
  @Option(
    help: "Only of services of this kind; may be given again.", completion: .list(ServiceKind.allCases.map(\.rawValue)))
  var service: [String] = []
  @Option(help: "Only of the service of this name; may be given again.") var instance: [String] = []
  @Option(help: "Only events of this name, such as batch.refused; of all that begin so if it ends with a dot.")
  var event = ""
  @Option(help: "Only about this job.") var job: String?
  @Option(help: "Only about this key.") var key: String?
  @Option(help: "Only about this batch, by its number in its job.") var batch: String?
  @Option(help: "Only with this text in the message.") var grep = ""
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  /// More are not read, for they are kept until all are printed.
  private static let maximum = 100_000

  func validate() throws {
    let limit = follow ? 1000 : Self.maximum
    if let tail, !(0...limit).contains(tail) { throw ValidationError("--tail \(tail) is not between 0 and \(limit)") }
    if follow, until != nil { throw ValidationError("--until and --follow contradict each other") }
    if follow, ![.table, .wide, .jsonl, .name].contains(output.output) {
      throw ValidationError(
        "--output \(output.output.rawValue) has an end, and --follow none: use table, wide, jsonl or name")
    }
  }

  func run() async throws {
    let now = Date()
    let filter = filter(now: now)
    if filter.untilUs > 0, filter.sinceUs >= filter.untilUs {
      throw CommandFailure.usage("--since is not before --until")
    }
    if follow { return try await follow(filter) }
    let limit = tail ?? (since == nil ? 100 : 10_000)
    let (events, hasMore) = try await connection.with(.logger) { channel in
      try await newest(limit, filter, ChanceryV1.Logs.Client(channel))
    }
    output.print(events.reversed().map(LogRow.init))
    // Who has said how many wants no more.
    if hasMore, tail == nil {
      StandardError.write("these are the last \(events.count) events: --tail shows more\n")
    }
  }

  private func filter(now: Date) -> ChanceryV1.EventFilter {
    let attributes = [("job", job), ("key", key), ("batch", batch)].compactMap { name, value in
      value.map { ChanceryV1.Label(name: name, value: $0) }
    }
    return ChanceryV1.EventFilter(
      minimumLevel: level.message, services: service, instances: instance, name: event, attributes: attributes,
      text: grep, sinceUs: since?.microseconds(now: now) ?? 0, untilUs: until?.microseconds(now: now) ?? 0)
  }

  private func newest(
    _ limit: Int, _ filter: ChanceryV1.EventFilter, _ client: ChanceryV1.Logs.Client
  ) async throws -> (events: [ChanceryV1.LoggedEvent], hasMore: Bool) {
    var events: [ChanceryV1.LoggedEvent] = []
    var token = ""
    while events.count < limit {
      let size = UInt32(min(limit - events.count, 1000))
      let page = try await client.query(
        .init(filter: filter, pageSize: size, pageToken: token), options: connection.call)
      events += page.events
      token = page.nextPageToken
      if token.isEmpty { break }
    }
    return (events, !token.isEmpty)
  }

  /// Prints events as they come. When the connection is lost, what comes before it is back is not shown, and that is said.
  private func follow(_ filter: ChanceryV1.EventFilter) async throws {
    let lines = LogLines(output)
    var request = ChanceryV1.TailLogsRequest(filter: filter, last: UInt32(tail ?? 10))
    let deadline = try connection.streamTimeout.map { ContinuousClock.now + $0 }
    try await connection.with(.logger) { channel in
      let client = ChanceryV1.Logs.Client(channel)
      var hasBegun = false
      while true {
        let left = deadline.map { ContinuousClock.now.duration(to: $0) }
        do {
          try await client.tail(request, options: CallOptions(timeout: left, waitForReady: hasBegun)) { replies in
            while let reply = try await replies.next() {
              hasBegun = true
              if reply.skipped > 0 { StandardError.write("\(reply.skipped) events were left out: too many came\n") }
              for logged in reply.events { lines.print(LogRow(logged)) }
            }
          }
        } catch let error as RPCError where hasBegun && error.code == .unavailable {
          StandardError.write("Logger was lost (\(error.message)): what comes before it is back is not shown\n")
          request.last = 0
          try await Task.sleep(for: .milliseconds(500))
        }
      }
    }
  }
}

/// A point in time as people give it: how long ago, or when.
enum LogTime: ExpressibleByArgument {
  case ago(Duration)
  case at(Date)

  init?(argument: String) {
    if let date = Self.date(argument) {
      self = .at(date)
    } else if let seconds = Self.seconds(argument) {
      self = .ago(.seconds(seconds))
    } else {
      return nil
    }
  }

  /// Microseconds since the Unix epoch; at least 1, for 0 is no time.
  func microseconds(now: Date) -> Int64 {
    let date =
      switch self {
      case .ago(let duration): now.addingTimeInterval(-duration.inSeconds)
      case .at(let date): date
      }
    return max(1, Int64((date.timeIntervalSince1970 * 1_000_000).rounded()))
  }

  private static func date(_ text: String) -> Date? {
    (try? Date(text, strategy: .iso8601))
      ?? (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
  }

  /// Numbers with a unit each: `2h30m`.
  private static func seconds(_ text: String) -> Int64? {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard text.wholeMatch(of: /([0-9]{1,9}[smhd])+/) != nil else { return nil }
    return text.matches(of: /([0-9]+)([smhd])/).reduce(0) { sum, match in
      sum + Int64(match.output.1)! * units[match.output.2.first!]!
    }
  }
}

extension EventLevel: ExpressibleByArgument {
  fileprivate var message: ChanceryV1.EventLevel {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}

/// An event, as it is printed.
private struct LogRow: TableRow {
  var at: String
  var level: String
  var service: String
  var instance: String
  var event: String
  var message: String
  var attributes: [String: String]

  init(_ logged: ChanceryV1.LoggedEvent) {
    let event = logged.event ?? ChanceryV1.Event()
    at = Date(timeIntervalSince1970: Double(event.atUs) / 1_000_000).text
    level = "\(event.level)"
    (service, instance) = (logged.service, logged.instance)
    (self.event, message) = (event.name, event.message)
    attributes = Dictionary(event.attributes.map { ($0.name, $0.value) }) { first, _ in first }
  }

  static let columns: [TableColumn] = [
    TableColumn("TIME", width: 24), TableColumn("LEVEL", isState: true, width: 7),
    TableColumn("SERVICE", isWide: true, width: 11), TableColumn("INSTANCE", width: 13),
    TableColumn("EVENT", width: 20),
    TableColumn("MESSAGE", limit: 120), TableColumn("ATTRIBUTES", isWide: true),
  ]

  var cells: [String] {
    let pairs = attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return [at, level, service, instance, event, message, pairs.joined(separator: " ")]
  }
  var resourceName: String { "event/\(event)" }
}

/// Prints events one after another, with one heading.
private final class LogLines {
  private var output: OutputOptions

  init(_ output: OutputOptions) { self.output = output }

  func print(_ row: LogRow) {
    output.print([row])
    output.tables.noHeaders = true
  }
}
