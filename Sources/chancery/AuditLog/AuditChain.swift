import Domain
import DynamicMessages
import FoundationEssentials
import PostgresStorage
import Signing
import Storage

/// Walks along the audit log, from one entry to the next, and says of each fault where it is.
///
/// A fault is told once: after an entry that is not what was sealed, the hash that stands there is taken for its own, so that
/// what follows is judged by itself. Memory grows with the number of jobs, not of entries.
struct AuditChain: Sendable {
  /// Something that is not as it was sealed, or not as the rest of the database says.
  struct Fault: Sendable, Encodable {
    /// The entry where it shows, if it is about one.
    var seq: Int64?
    var reason: String

    var text: String { (seq.map { "entry \($0): " } ?? "") + reason }
  }

  private(set) var entries: Int64 = 0
  private(set) var pending: Int64 = 0
  private(set) var jobs = 0
  private(set) var head: AuditLogHead?
  private(set) var faultCount = 0
  private(set) var faults: [Fault] = []

  private let anchor: AuditLogHead?
  private let keeping: Int
  /// The entry before the first one that is checked: it is believed.
  private let believed: Int64?
  private var signed: [String: (batches: Int64, signatures: Int64)] = [:]
  private var submitted: Set<String> = []

  /// Begins at the entry `seq`: with 0, or after the entry before it, which is believed. The entry of `anchor` must be in the
  /// log. Of faults, the first `keeping` are kept and all are counted.
  init(from seq: Int64, anchor: AuditLogHead?, keeping: Int) {
    believed = seq > 0 ? seq - 1 : nil
    self.anchor = anchor
    self.keeping = keeping
  }

  /// The first entry to read.
  var first: Int64 { believed ?? 0 }

  mutating func take(_ row: AuditLogRow) throws {
    switch row {
    case .sealed(let seq, let entry, let hash): try take(seq, entry, hash)
    case .pending(let entry):
      pending += 1
      note(entry)
    case .stored(let job, let batches, let signatures): compare("\(job)", batches, signatures)
    }
  }

  private mutating func take(_ seq: Int64, _ entry: String, _ bytes: [UInt8]) throws {
    guard let hash = SHA256Digest(bytes) else { return fault(seq, "its hash has \(bytes.count) bytes") }
    defer { head = AuditLogHead(seq: seq, hash: hash) }
    if let anchor, anchor.seq == seq, anchor.hash != hash {
      fault(seq, "its hash is \(hash), and was \(anchor.hash) when it was noted: the log up to here was written anew")
    }
    if seq == believed { return }
    entries += 1
    let expected = head.map { $0.seq + 1 } ?? first
    if seq != expected {
      fault(seq, seq - 1 == expected ? "entry \(expected) is missing" : "entries \(expected) to \(seq - 1) are missing")
    } else if try Self.hash(after: head?.hash, seq, entry) != hash {
      fault(seq, "it is not what was sealed, or what is before it is not")
    }
    note(entry)
  }

  /// Ends the walk.
  mutating func finish() {
    if head == nil { fault(nil, "the log is empty: not even its beginning is there") }
    if let anchor, let head, head.seq < anchor.seq {
      fault(nil, "the log ends with entry \(head.seq), before the one that was noted, \(anchor.seq)")
    }
    // Batches that the log knows and the database does not.
    if believed == nil {
      for (job, counts) in signed.sorted(by: { $0.key < $1.key }) {
        fault(nil, "job \(job) has \(counts.batches) signed batches in the log, and none in the database")
      }
    }
  }

  /// SHA-256 of the hash before (32 zero bytes before the first), the number (8 bytes, big-endian) and the text.
  private static func hash(after previous: SHA256Digest?, _ seq: Int64, _ entry: String) throws -> SHA256Digest {
    var digest = try RunningDigest()
    try digest.update(previous?.bytes ?? [UInt8](repeating: 0, count: SHA256Digest.byteCount))
    try digest.update(withUnsafeBytes(of: seq.bigEndian) { Array($0) })
    try digest.update(Array(entry.utf8))
    return try digest.finish()
  }

  /// Counts what an entry says of jobs.
  private mutating func note(_ entry: String) {
    guard entry.contains("\"batch.signed\"") || entry.contains("\"job.submitted\""),
      case .object(let members)? = try? JSONDecoder().decode(JSONValue.self, from: Data(entry.utf8)),
      case .string(let job)? = members["job_id"], case .string(let event)? = members["event"]
    else { return }
    switch event {
    case "job.submitted": submitted.insert(job)
    case "batch.signed":
      guard case .integer(let count)? = members["signed"] else { return }
      let before = signed[job] ?? (0, 0)
      signed[job] = (before.batches + 1, before.signatures + count)
    default: return
    }
  }

  /// Only jobs whose submission is in what was read can be compared: of others the log may lack the beginning.
  private mutating func compare(_ job: String, _ batches: Int64, _ signatures: Int64) {
    let told = signed.removeValue(forKey: job) ?? (0, 0)
    guard believed == nil, submitted.contains(job) else { return }
    jobs += 1
    guard told != (batches, signatures) else { return }
    fault(
      nil,
      "job \(job) has \(told.batches) signed batches with \(told.signatures) signatures in the log, and \(batches) with "
        + "\(signatures) in the database")
  }

  private mutating func fault(_ seq: Int64?, _ reason: String) {
    faultCount += 1
    if faults.count < keeping { faults.append(Fault(seq: seq, reason: reason)) }
  }
}
