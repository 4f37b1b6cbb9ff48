import ArgumentParser
import RPC
import Schema

extension JobsCommand {
  struct WriteManifest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "manifest",
      abstract: "Write the signed manifest of a job that has ended, or the proof for one record.",
      discussion: """
        A manifest lets anyone check a whole job without a server: 'chancery verify --manifest' does. With --prove, a small \
        proof for one record is written instead, which 'chancery verify --proof' checks; with --from, it is made from a \
        manifest in a file. Example: chancery jobs manifest 0190a3c2-… > job.manifest
        """)

    @Argument(help: "The job's id; not needed with --from.") var job: String?
    @Option(parsing: .unconditional, help: "Write the proof for this record.") var prove: Int64?
    @Option(help: "Make the proof from this manifest, without a server; - is standard input.") var from: String?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      guard from == nil || prove != nil else { throw ValidationError("--from goes with --prove") }
      guard (job == nil) == (from != nil) else {
        throw ValidationError("give either a job or, with --from, a manifest in a file")
      }
    }

    func run() async throws {
      guard let prove else {
        return try await download { StandardOutput.write($0) }
      }
      var prover = try ManifestProver(record: prove)
      if let from {
        let lines = try LineReader(path: from)
        while let line = try lines.next() { try prover.add(line) }
      } else {
        var number = 0
        try await download { part in
          for line in part.split(separator: UInt8(ascii: "\n")) {
            number += 1
            try prover.add(NumberedLine(number: number, bytes: Array(line)))
          }
        }
      }
      StandardOutput.write(JSONText.document(try prover.proof()))
    }

    /// Hands whole lines to `body` as they come. A manifest without its last line is never taken for one.
    private func download(_ body: ([UInt8]) throws -> Void) async throws {
      let job = job ?? ""
      try await connection.with(.coordinator) { channel in
        try await ChanceryV1.Jobs.Client(channel).manifest(.init(jobID: job)) { parts in
          for try await part in parts { try body(part.lines) }
        }
      }
    }
  }
}
