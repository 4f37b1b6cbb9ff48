import DedicatedThreads
import Domain
import Manifest
import Signing

/// Checks a manifest in a file on all cores, in bounded memory, without any server.
struct ManifestVerification {
  /// Lines that are checked together on one thread.
  private static let groupSize = 500
  /// Fewer where payloads come with them, which may have 1 MiB each.
  private static let groupSizeWithPayloads = 64

  private let pool: ComputePool
  private let trusted: PublicKey?
  private let limit: Int

  /// A check that trusts one key of the coordinator, or if that is nil the one in the manifest, and keeps `limit` faults.
  init(trusted: PublicKey?, keeping limit: Int) throws {
    self.trusted = trusted
    self.limit = limit
    pool = try ComputePool(name: "verify")
  }

  /// Checks the manifest at `path`, with payloads from `payloads` if that is not nil.
  func check(
    _ path: String, payloads: PayloadSource?, onProgress: (Int) -> Void
  ) async throws -> ManifestCheck.Outcome {
    let lines = try LineReader(path: path)
    var check = try ManifestCheck(trusted: trusted, keeping: limit)
    let size = payloads?.isStream == true ? Self.groupSizeWithPayloads : Self.groupSize
    while true {
      var groups: [(lines: [NumberedLine], payloads: [Int64: [UInt8]])] = []
      while groups.count < 2 * Verification.parallelism {
        var group: [NumberedLine] = []
        while group.count < size, let line = try lines.next() {
          check.prepare(line)
          group.append(line)
        }
        if group.isEmpty { break }
        groups.append((group, try payloads?.streamed(for: group) ?? [:]))
      }
      if groups.isEmpty { break }
      // A key that a group does not need yet does no harm.
      let context = check.context
      let checked = try await withThrowingTaskGroup(of: (Int, [CheckedLine]).self) { tasks in
        for (index, group) in groups.enumerated() {
          tasks.addTask {
            let lines = try await pool.run {
              Result {
                try CheckedLine.check(group.lines, context) { record in
                  try group.payloads[record] ?? payloads?.file(of: record)
                }
              }
            }
            return (index, try lines.get())
          }
        }
        var done: [[CheckedLine]] = Array(repeating: [], count: groups.count)
        for try await (index, lines) in tasks { done[index] = lines }
        return done
      }
      for group in checked { try check.add(group) }
      onProgress(check.outcome.entries)
    }
    check.finish()
    return check.outcome
  }
}

/// Where the payloads of records are: files `ID.payload` in a directory, or lines of JSON, in the order of records, as
/// `signatures export` writes both.
final class PayloadSource: @unchecked Sendable {
  // Unchecked: lines are read by one task, before the others look for files; the directory is a constant.
  private let directory: String?
  private let lines: LineReader?
  private var next: SignatureLine?

  init(path: String) throws {
    let isDirectory = RecordFormat.auto.resolved(for: path) == .files
    directory = isDirectory ? path : nil
    lines = isDirectory ? nil : try LineReader(path: path)
  }

  /// Whether payloads come one after another.
  var isStream: Bool { lines != nil }

  /// The payloads of the entries among some lines, which come after all those asked for before.
  func streamed(for group: [NumberedLine]) throws -> [Int64: [UInt8]] {
    guard let lines else { return [:] }
    var wanted: [Int64] = []
    for line in group {
      if case .entry(let entry)? = CheckedLine.decode(line) { wanted.append(entry.recordID) }
    }
    guard let last = wanted.max() else { return [:] }
    let isWanted = Set(wanted)
    var found: [Int64: [UInt8]] = [:]
    while true {
      if next == nil { next = try lines.next().map(SignatureLine.init(parsing:)) }
      guard let line = next, line.recordID <= last else { return found }
      if isWanted.contains(line.recordID) { found[line.recordID] = [UInt8](line.payload) }
      next = nil
    }
  }

  /// The payload of a record in the directory; nil if it is not there.
  func file(of record: Int64) throws -> [UInt8]? {
    guard let directory else { return nil }
    let path = "\(directory)/\(record).payload"
    guard let file = try InputFile.ifPresent(path) else { return nil }
    var bytes: [UInt8] = []
    while bytes.count <= Record.maximumPayloadBytes {
      let piece = try file.read()
      if piece.isEmpty { break }
      bytes += piece
    }
    return bytes
  }
}
