import Domain
import Foundation
import Logging
import RPC
import ServiceHost
import Telemetry
import Testing

/// What a log line looks like, byte for byte: as JSON that a parser takes and as text for people; nothing from outside can
/// break a line, drive a terminal or make it endless, and no secret is in it.
@Suite struct LogTests {
  private static let time = Timestamp(rawValue: 1_795_446_887_012_345)

  private func log(
    _ format: LogFormat = .json, level: Logger.Level = .trace, _ body: (Logger) -> Void
  ) async throws -> [String] {
    try await capture { output in
      let configuration = LogConfiguration(level: level, format: format, output: output)
      body(
        Logger(label: "test") { _ in
          StructuredLogHandler(
            service: "signer", instance: "s-1", configuration: configuration, wallClock: { Self.time })
        })
    }
  }

  private func object(_ line: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test func aLineOfJSON() async throws {
    let lines = try await log { logger in
      var logger = logger
      logger[metadataKey: "job"] = "j"
      logger.warning("batch refused", metadata: ["batch": "7", "epoch": .stringConvertible(3), "job": "k"])
    }
    #expect(
      lines == [
        #"{"ts":"2026-11-23T15:14:47.012345Z","level":"warning","service":"signer","instance":"s-1","#
          + #""message":"batch refused","batch":"7","epoch":"3","job":"k"}"#
      ])
  }

  @Test func aLineOfATaskSaysItsTrace() async throws {
    let trace = try #require(TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    let lines = try await capture { output in
      let configuration = LogConfiguration(level: .debug, format: .json, output: output)
      let logger = configuration.makeLogger(service: "signer", instance: "s-1")
      logger.info("outside")
      CallScope.$current.withValue(CallScope(trace: trace)) {
        logger.info("plain")
        MetricsRegistry(logger: logger).event(.debug, "lease.granted", "an event", ["key": "7", "epoch": "3"])
      }
    }.map(object)
    #expect(lines.map { $0["message"] as? String } == ["outside", "plain", "an event"])
    #expect(lines.map { $0["trace"] as? String } == [nil, trace.traceID, trace.traceID])
    #expect(lines.map { $0["span"] as? String } == [nil, trace.spanID, trace.spanID])
    #expect(lines[2]["event"] as? String == "lease.granted" && lines[2]["epoch"] as? String == "3")
  }

  @Test func aLineOfText() async throws {
    func write(_ logger: Logger) { logger.error("it failed", metadata: ["why": "no room", "n": "1", "q": "a\"b"]) }
    #expect(
      try await log(.text(colors: false), write)
        == [#"15:14:47.012345 ERROR    signer/s-1 it failed n=1 q="a\"b" why="no room""#])
    let colored = try await log(.text(colors: true), write)
    #expect(colored[0].hasPrefix("15:14:47.012345 \u{1B}[31mERROR\u{1B}[0m    signer/s-1 it failed"))
  }

  @Test(arguments: [
    (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
    (951_868_799_000_001, "2000-02-29T23:59:59.000001Z"), (-2_203_891_200_000_000, "1900-03-01T00:00:00.000000Z"),
    (4_107_499_200_000_000, "2100-02-28T12:00:00.000000Z"), (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
    (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
  ]) func times(microseconds: Int64, text: String) {
    #expect(Timestamp(rawValue: microseconds).rfc3339 == text)
  }

  @Test func levels() async throws {
    for level in Logger.Level.allCases {
      let lines = try await log(level: level) { logger in
        for level in Logger.Level.allCases { logger.log(level: level, "x") }
      }
      #expect(
        try lines.map { try object($0)["level"] as? String }
          == Logger.Level.allCases.filter { $0 >= level }.map(\.rawValue))
      #expect(try LogConfiguration(level: level.rawValue.uppercased(), format: "json").level == level)
    }
    let error = #expect(throws: ConfigurationError.self) { try LogConfiguration(level: "loud", format: "json") }
    #expect(error?.option == "log level" && error?.reason.contains("warning") == true)
    let other = #expect(throws: ConfigurationError.self) { try LogConfiguration(level: "info", format: "xml") }
    #expect(other?.value == "xml")
  }

  @Test func whatComesFromOutsideIsEscaped() async throws {
    let nasty = "\u{0}\u{1}\u{1B}[2J\u{7F}\u{9B}\n\r\t\"\\/\u{2028}\u{2029}é\u{1F600}"
    let lines = try await log { $0.info("\(nasty)", metadata: [nasty: .string(nasty), "list": ["\(nasty)"]]) }
    #expect(lines.count == 1)
    let fields = try object(lines[0])
    #expect(fields["message"] as? String == nasty)
    #expect(fields[nasty] as? String == nasty)
    #expect(fields["list"] as? [String] == [nasty])
    for line in try await log(.text(colors: false), { $0.info("\(nasty)", metadata: [nasty: .string(nasty)]) }) + lines
    {
      let isHarmless = line.unicodeScalars.allSatisfy { scalar in
        ![.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
      }
      #expect(isHarmless, "\(line.debugDescription)")
    }
  }

  @Test func ownKeysStay() async throws {
    let lines = try await log { $0.info("m", metadata: ["message": "x", "level": "y", "ts": "z", "instance": "w"]) }
    let fields = try object(lines[0])
    #expect(fields["message"] as? String == "m" && fields["message_"] as? String == "x")
    #expect(fields["level"] as? String == "info" && fields["ts_"] as? String == "z")
    #expect(fields.count == 9)
  }

  @Test(arguments: [LogFormat.json, .text(colors: false)]) func secretsAreNotWritten(format: LogFormat) async throws {
    let names = [
      "password", "PGPASSWORD", "db_passphrase", "client_secret", "Token", "access-token", "private_key", "privateKey",
      "Private-Key", "Authorization",
    ]
    let lines = try await log(format) { logger in
      for name in names {
        logger.info("x", metadata: [name: "canary"])
        logger.info("x", metadata: [name: ["canary"], "a": ["b": .dictionary([name: "canary"])]])
        logger.info("x", metadata: ["list": [.dictionary([name: .dictionary(["c": "canary"])])]])
      }
      logger.info("x", metadata: ["key": "visible"])
    }
    #expect(lines.count == 3 * names.count + 1)
    for (index, line) in lines.dropLast().enumerated() {
      #expect(!line.contains("canary") && line.contains("[redacted]"), "\(names[index / 3]): \(line)")
    }
    #expect(lines.last?.contains("visible") == true)
  }

  @Test func longLinesAreCut() async throws {
    let long = String(repeating: "é", count: 20_000)
    var deep = Logger.MetadataValue.string("bottom")
    for _ in 0..<10_000 { deep = ["d": deep] }
    let many = Dictionary(uniqueKeysWithValues: (0..<20_000).map { ("key\($0)", Logger.MetadataValue.string("value")) })
    let lines = try await log { logger in
      logger.info("\(long)")
      logger.info("x", metadata: ["deep": deep])
      logger.info("x", metadata: many)
    }
    let message = try #require(try object(lines[0])["message"] as? String)
    #expect(message == String(repeating: "é", count: 4096) + "…")
    #expect(!lines[1].contains("bottom"))
    _ = try object(lines[1])
    #expect(lines[2].utf8.count < 33 * 1024)
    #expect(try object(lines[2])["truncated"] as? Bool == true)
  }
}
