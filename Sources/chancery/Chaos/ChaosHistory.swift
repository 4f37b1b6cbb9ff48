import Foundation
import PostgresDriver
import Synchronization

/// What was seen of a job while faults came: by its client, by the signers, and in the database. Checked when all is over.
final class ChaosHistory: Sendable {
  /// A batch as a signer or the database knows it: which attempt, with which lease of which key.
  struct Proof: Hashable, CustomStringConvertible {
    var batch: Int
    var attempt: Int
    var key: String
    var epoch: String
    var lease: String

    var description: String { "batch \(batch), attempt \(attempt), with lease \(epoch) of key \(key)" }
  }

  private struct State {
    /// What the client was told last.
    var signed: UInt64 = 0
    /// What was stored at the last look: a hash of each signature, by record.
    var stored: [Int64: Int64] = [:]
    var looks = 0
    /// What went back: told or stored before, and later not.
    var reverted: [String] = []
  }

  private let state = Mutex(State())

  /// How many records are signed, as far as the client knows.
  var signed: UInt64 { state.withLock { $0.signed } }
  /// How often the signatures were looked at.
  var looks: Int { state.withLock { $0.looks } }
  /// What went back.
  var reverted: [String] { state.withLock { $0.reverted } }

  /// The client was told that so many records are signed.
  func told(signed: UInt64) {
    state.withLock { state in
      if signed < state.signed { state.reverted.append("\(state.signed) records were signed, then \(signed)") }
      state.signed = signed
    }
  }

  /// Compares what is stored with the last look.
  func look(at url: String) async throws {
    let rows = try await SQL.query(
      "SELECT record_id, hashtextextended(encode(signature, 'hex'), 0) FROM chancery.signatures", on: url)
    let now = try Dictionary(
      uniqueKeysWithValues: zip(rows.int64Column(0), rows.int64Column(1)).map { ($0, $1) })
    state.withLock { state in
      let gone = state.stored.filter { now[$0.key] != $0.value }.keys.sorted()
      if let first = gone.first {
        state.reverted.append("\(gone.count) signatures are gone or changed, of record \(first) for one")
      }
      state.stored = now
      state.looks += 1
    }
  }

  // MARK: - When all is over

  /// What signers were told of their results, against what is stored: what does not agree.
  static func disagreements(_ logs: ChaosLogs, job: String, on url: String) async throws -> [String] {
    let rows = try await SQL.query(
      """
      SELECT seq::bigint, attempt::bigint, key_id::text, key_epoch::text, lease_id::text \
      FROM chancery.batches WHERE state = 'signed' AND job_id::text = '\(job)'
      """, on: url)
    var stored: Set<Proof> = []
    for row in 0..<rows.rowCount {
      stored.insert(
        Proof(
          batch: Int(try rows.int64(row, 0)), attempt: Int(try rows.int64(row, 1)), key: try rows.text(row, 2),
          epoch: try rows.text(row, 3), lease: try rows.text(row, 4)))
    }
    let lost = logs.proofs("result.stored", job: job).subtracting(stored)
    let kept = logs.proofs("result.refused", job: job).intersection(stored)
    return lost.sorted { $0.batch < $1.batch }.map { "a signer was told that it is stored, and it is not: \($0)" }
      + kept.sorted { $0.batch < $1.batch }.map { "a signer was told that it is refused, and it is stored: \($0)" }
  }
}

/// What the processes of a cluster have logged.
struct ChaosLogs {
  /// Lines of JSON, by the file's name without its ending.
  private var lines: [String: [[String: Any]]] = [:]
  /// Everything, by the same names.
  private var texts: [String: String] = [:]

  init(in directory: URL, servers: [String: URL]) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) where name.hasSuffix(".log") {
      let text = String(decoding: try Data(contentsOf: directory.appending(path: name)), as: UTF8.self)
      let process = String(name.dropLast(4))
      lines[process] = text.split(separator: "\n").compactMap {
        (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
      }
      texts[process] = text
    }
    for (name, file) in servers {
      texts[name] = String(decoding: (try? Data(contentsOf: file)) ?? Data(), as: UTF8.self)
    }
  }

  /// Writes everything into a folder, a file for each process.
  func write(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (process, text) in texts { try Data(text.utf8).write(to: folder.appending(path: "\(process).log")) }
  }

  /// How often each event came that is no mere news.
  var warnings: [String: Int] {
    var counts: [String: Int] = [:]
    for line in lines.values.joined() {
      guard let level = line["level"] as? String, ["warning", "error", "critical"].contains(level) else { continue }
      counts[line["event"] as? String ?? "log.\(line["message"] as? String ?? "")", default: 0] += 1
    }
    return counts
  }

  /// How often an event came.
  func count(event: String) -> Int {
    lines.values.joined().count { $0["event"] as? String == event }
  }

  /// By how many seconds, at most, two processes differed about when the job was signed; 0 if it is less than one.
  func shift(of name: String, from other: String) -> Int {
    func range(_ process: String) -> (Double, Double)? {
      let times = (lines[process] ?? []).compactMap { $0["ts"] as? String }.compactMap(Self.seconds)
      return times.min().flatMap { least in times.max().map { (least, $0) } }
    }
    guard let (first, last) = range(name), let (otherFirst, otherLast) = range(other) else { return 0 }
    return Int(max(abs(first - otherFirst), abs(last - otherLast)))
  }

  private static func seconds(_ text: String) -> Double? {
    try? Date(text, strategy: .iso8601.year().month().day().time(includingFractionalSeconds: true))
      .timeIntervalSince1970
  }

  /// How often processes whose names begin so have written a text.
  func count(_ text: String, by process: String) -> Int {
    texts.filter { $0.key.hasPrefix(process) }.values.reduce(0) { $0 + $1.components(separatedBy: text).count - 1 }
  }

  /// The batches that an event of signers is about.
  func proofs(_ event: String, job: String) -> Set<ChaosHistory.Proof> {
    var proofs: Set<ChaosHistory.Proof> = []
    for line in lines.values.joined() where line["event"] as? String == event && line["job"] as? String == job {
      guard let batch = Int(line["batch"] as? String ?? ""), let attempt = Int(line["attempt"] as? String ?? ""),
        let key = line["key"] as? String, let epoch = line["epoch"] as? String, let lease = line["lease"] as? String
      else { continue }
      proofs.insert(ChaosHistory.Proof(batch: batch, attempt: attempt, key: key, epoch: epoch, lease: lease))
    }
    return proofs
  }
}

/// Statements of the judge, each on a connection of its own to the database itself.
enum SQL {
  static func run(_ script: String, on url: String) async throws {
    _ = try await connected(url) { connection in try await connection.execute(script) }
  }

  static func query(_ text: String, on url: String) async throws -> PostgresResult {
    try await connected(url) { connection in try await connection.query(PostgresStatement(text)) }
  }

  /// The first column of a query, of type text.
  static func texts(_ text: String, on url: String) async throws -> [String] {
    let rows = try await query(text, on: url)
    return try (0..<rows.rowCount).map { try rows.text($0, 0) }
  }

  private static func connected<Value: Sendable>(
    _ url: String, _ body: (PostgresConnection) async throws -> Value
  ) async throws -> Value {
    var configuration = try PostgresConfiguration(url)
    configuration.applicationName = "chancery-chaos"
    let connection = try await PostgresConnection.open(configuration)
    let result: Result<Value, any Error>
    do {
      result = .success(try await body(connection))
    } catch {
      result = .failure(error)
    }
    await connection.close()
    return try result.get()
  }
}

/// Waits until something outside this process holds, looking again and again; throws when the limit has passed.
func eventually(
  _ what: String, within limit: Duration, every interval: Duration = .milliseconds(20),
  _ condition: () async throws -> Bool
) async throws {
  let end = ContinuousClock.now + limit
  while try await !condition() {
    guard ContinuousClock.now < end else { throw ChaosError("waited \(limit) in vain until \(what)") }
    try await Task.sleep(for: interval)
  }
}

/// A fault could not be brought about, or the job did not end.
struct ChaosError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
