import ArgumentParser
import Schema

extension RecordsCommand {
  struct Put: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Append records from a file, a directory or standard input.",
      discussion: """
        As jsonl, one JSON object a line: {"external_id": "inv-1", "payload": "text"}; bytes go into "payload_base64" instead. As \
        csv, a row a record: --payload-column names the column to sign, without it the row itself is signed as it stands, \
        without its line end. As files, each file of the directory and those in it, by its path. An external id makes the \
        command safe to repeat.

        Example: chancery records put invoices.csv --id-column number --payload-column body
                 chancery records put invoices.csv --id-column number --dry-run
        """)

    @Argument(help: "A file or a directory; - is standard input.") var file = "-"
    @Option(help: "jsonl, csv, files, or auto: by the name.") var format = RecordFormat.auto
    @Option(help: "csv: the column of external ids; external_id if there is one.") var idColumn: String?
    @Option(help: "csv: the column of payloads; the whole row without it.") var payloadColumn: String?
    @Flag(help: "csv: the column of payloads holds base64.") var base64 = false
    @Flag(help: "Read and check everything, and store nothing.") var dryRun = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard format.resolved(for: file) == .csv || (idColumn == nil && payloadColumn == nil && !base64) else {
        throw ValidationError("--id-column, --payload-column and --base64 are for CSV: add --format csv if it is")
      }
      guard !base64 || payloadColumn != nil else { throw ValidationError("--base64 goes with --payload-column") }
      guard format != .files || file != "-" else { throw ValidationError("--format files needs a directory") }
    }

    func run() async throws {
      let notes = Notes()
      var input = try open(notes)
      let progress = ProgressLine("records", isQuiet: !output.output.isForPeople)
      var count = RecordCount()
      func next() throws -> ChanceryV1.NewRecord? {
        guard let record = try input.next() else { return nil }
        count.add(record)
        progress.update(UInt64(count.records), of: 0)
        return record
      }
      defer {
        progress.finish()
        notes.finish()
      }
      if dryRun {
        while try next() != nil {}
        return output.print(count)
      }
      let response = try await connection.with(.coordinator) { channel in
        try await RecordUpload.run(on: channel) { try next() }
      }
      output.print(PutRow(response))
    }

    private func open(_ notes: Notes) throws -> any RecordInput {
      switch format.resolved(for: file) {
      case .csv:
        let records = try CSVRecords(
          path: file, CSVRecords.Columns(id: idColumn, payload: payloadColumn, isBase64: base64))
        if !records.hasExternalIDs {
          notes.add("the records get no external ids, so that repeating the command adds them again: see --id-column")
        }
        return records
      case .files: return try DirectoryRecords(root: file) { notes.add($0) }
      case .jsonl, .auto: return try RecordLines(path: file)
      }
    }
  }
}

/// What was read, as `records put --dry-run` prints it.
private struct RecordCount: TableRow {
  var records = 0
  var payloadBytes = 0
  var withoutExternalID = 0

  enum CodingKeys: String, CodingKey {
    case records
    case payloadBytes = "payload_bytes"
    case withoutExternalID = "without_external_id"
  }

  mutating func add(_ record: ChanceryV1.NewRecord) {
    records += 1
    payloadBytes += record.payload.count
    if record.externalID.isEmpty { withoutExternalID += 1 }
  }

  static let columns = [TableColumn("RECORDS"), TableColumn("PAYLOAD BYTES"), TableColumn("WITHOUT EXTERNAL ID")]
  var resourceName: String { "records/\(records)" }
  var cells: [String] { [records.grouped64, payloadBytes.grouped64, withoutExternalID.grouped64] }
}

/// Notes for people, of which only the first are shown.
private final class Notes {
  private static let limit = 10
  private var count = 0

  func add(_ note: String) {
    count += 1
    if count <= Self.limit { StandardError.write("note: \(note.printable)\n") }
  }

  func finish() {
    if count > Self.limit { StandardError.write("note: and \(count - Self.limit) more\n") }
  }
}
