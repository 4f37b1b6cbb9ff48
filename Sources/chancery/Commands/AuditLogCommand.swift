public import ArgumentParser
import Domain
import Manifest
import PostgresStorage
public import Storage

extension AuditCommand {
  struct VerifyLog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify-log", abstract: "Check the chain of hashes over what has happened.",
      discussion: """
        Reads the audit log from the database itself and computes every hash anew: an entry that was altered, removed or \
        moved is found and located, and what the log says of a job is compared with the job's batches. What was printed as \
        the head, and noted elsewhere, is given with --head the next time: then also a log that was written anew, or has lost \
        its end, is found. Exit code 3 if anything is not as it was sealed.

        Example: chancery audit verify-log
                 chancery audit verify-log --from 1 -o json
        """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var context: ContextOptions
    @Option(help: "Begin with this entry; the one before it is believed.") var from: Int64 = 0
    @Option(help: "An entry that was noted earlier, as SEQ:HASH.") var head: AuditLogHead?
    @Option(help: "How many faults to show.") var show = 10
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard from >= 0 else { throw ValidationError("--from \(from) is below 0") }
      guard show >= 0 else { throw ValidationError("--show \(show) is below 0") }
      if let head, head.seq < from {
        throw ValidationError("--head \(head.seq) is before --from \(from), and would not be looked at")
      }
    }

    func run() async throws {
      let start = AuditChain(from: from, anchor: head, keeping: show)
      var chain = try await Databases.with(try database.url(try context.selected())) { database in
        try await database.readAuditLog(from: start.first, into: start) { try $0.take($1) }
      }
      chain.finish()
      let report = AuditLogReport(chain)
      output.print(
        report, name: report.resourceName,
        text: output.table.text(report) + report.faults.map { $0.text.printable + "\n" }.joined())
      guard report.faulty == 0 else {
        throw CommandFailure(
          code: "audit_log_broken", message: "the audit log is not as it was sealed: \(report.faulty) faults",
          hint: "docs/audit-log.md says what each means", exitCode: .verification)
      }
    }
  }
}

extension AuditLogHead: ExpressibleByArgument {
  /// Reads `SEQ:HASH`, with the hash in hexadecimal.
  public init?(argument: String) {
    let parts = argument.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let seq = Int64(parts[0]), seq >= 0,
      let hash = SHA256Digest(hexText: parts[1].lowercased())
    else { return nil }
    self.init(seq: seq, hash: hash)
  }
}

/// What was found, as `audit verify-log` prints it.
private struct AuditLogReport: TableRow {
  var entries: Int64
  var pending: Int64
  var jobs: Int
  var head: String?
  var faulty: Int
  var faults: [AuditChain.Fault]

  init(_ chain: AuditChain) {
    entries = chain.entries
    pending = chain.pending
    jobs = chain.jobs
    head = chain.head.map { "\($0.seq):\($0.hash)" }
    faulty = chain.faultCount
    faults = chain.faults
  }

  static let columns = [
    TableColumn("ENTRIES", isNumber: true), TableColumn("NOT SEALED YET", isNumber: true),
    TableColumn("JOBS COMPARED", isNumber: true), TableColumn("FAULTS", isNumber: true), TableColumn("HEAD"),
  ]

  var resourceName: String { "audit-log/\(faulty == 0 ? "intact" : "broken")" }

  var cells: [String] {
    [entries.grouped, pending.grouped, Int64(jobs).grouped, Int64(faulty).grouped, head ?? ""]
  }
}
