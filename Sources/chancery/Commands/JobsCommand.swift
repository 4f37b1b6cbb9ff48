import ArgumentParser
import Domain
import FoundationEssentials
import RPC
import Schema
import Translation

struct JobsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobs", abstract: "Submit signing jobs and follow them.",
    subcommands: [
      Submit.self, Get.self, List.self, Watch.self, Pause.self, Resume.self, Cancel.self, Retry.self,
      WriteManifest.self,
    ])
}

/// What to sign and how: shared by `jobs submit`, `sign` and `demo`.
struct SubmissionOptions: ParsableArguments {
  @Option(help: "How to sign: \(SignatureAlgorithm.allValueStrings.joined(separator: ", ")).")
  var algorithm = SignatureAlgorithm.default

  @Option(help: "What to sign of each record: raw, its bytes alone; jws, so that the signature is a JWS over them.")
  var form = SignatureForm.default

  // Unconditional: -1 is a wrong number, not an option.
  @Option(parsing: .unconditional, help: "Records per batch, 1 to 10000; fixed for the life of the job.")
  var batchSize = BatchSize.default.rawValue

  @Option(help: "Name of the source of records.")
  var source = Source.records

  @Option(parsing: .unconditional, help: "Higher runs first, -100 to 100.")
  var priority = JobPriority.default.rawValue

  @Option(help: "A name for this submission: repeating it returns the same job.")
  var idempotencyKey: String?

  func validate() throws {
    guard BatchSize(rawValue: batchSize) != nil else {
      throw ValidationError("--batch-size \(batchSize) is not between 1 and \(BatchSize.range.upperBound)")
    }
    guard JobPriority(rawValue: priority) != nil else {
      throw ValidationError("--priority \(priority) is not between -100 and 100")
    }
    if let idempotencyKey, IdempotencyKey(rawValue: idempotencyKey) == nil {
      throw ValidationError("--idempotency-key must have 1 to 128 printable ASCII characters")
    }
  }

  var request: ChanceryV1.SubmitJobRequest {
    ChanceryV1.SubmitJobRequest(
      source: source, algorithm: algorithm.message, batchSize: UInt32(batchSize), priority: Int32(priority),
      idempotencyKey: idempotencyKey ?? "", form: form.message)
  }
}

extension JobsCommand {
  struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Create a job over all records that are there now.",
      discussion: "Example: chancery jobs submit --algorithm ed25519 --batch-size 500")

    @OptionGroup var submission: SubmissionOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let job = try await connection.with(.coordinator) { channel in
        try await ChanceryV1.Jobs.Client(channel).submit(submission.request, options: connection.call)
      }
      output.print(JobRow(job))
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one job.", discussion: "Example: chancery jobs get 0190a3c2-… -o json")

    @Argument(help: "The job's id.") var job: String
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let found = try await connection.with(.coordinator) { channel in
        try await ChanceryV1.Jobs.Client(channel).get(.init(jobID: job), options: connection.call)
      }
      output.print(JobRow(found))
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the newest jobs.", discussion: "Example: chancery jobs list --limit 20")

    @Option(parsing: .unconditional, help: "How many jobs at most.") var limit = 100
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard limit > 0 else { throw ValidationError("--limit \(limit) is not positive") }
    }

    func run() async throws {
      let jobs = try await connection.with(.coordinator) { channel -> [ChanceryV1.Job] in
        let client = ChanceryV1.Jobs.Client(channel)
        var jobs: [ChanceryV1.Job] = []
        var token = ""
        repeat {
          let size = UInt32(min(limit - jobs.count, 1000))
          let page = try await client.list(.init(pageSize: size, pageToken: token), options: connection.call)
          jobs += page.jobs
          token = page.nextPageToken
        } while !token.isEmpty && jobs.count < limit
        return jobs
      }
      output.print(jobs.map(JobRow.init))
    }
  }

  struct Watch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Follow a job until it ends.",
      discussion: "Ctrl-C stops following; the job goes on. Example: chancery jobs watch 0190a3c2-…")

    @Argument(help: "The job's id.") var job: String
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let ended = try await connection.with(.coordinator) { try await JobWatch.follow(job, on: $0) }
      output.print(JobRow(ended))
      try JobWatch.checkOutcome(ended)
    }
  }
}

extension JobsCommand {
  struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give out no further batches of a job.",
      discussion: "Batches that are being signed are still stored. Example: chancery jobs pause 0190a3c2-…")

    @OptionGroup var target: JobTarget

    func run() async throws {
      try await target.change { client, job, options in try await client.pause(.init(jobID: job), options: options) }
    }
  }

  struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Go on with a job that was paused.", discussion: "Example: chancery jobs resume 0190a3c2-…")

    @OptionGroup var target: JobTarget

    func run() async throws {
      try await target.change { client, job, options in try await client.resume(.init(jobID: job), options: options) }
    }
  }

  struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End a job for good.",
      discussion: "What is signed stays signed. Asks, unless --yes. Example: chancery jobs cancel 0190a3c2-… --yes")

    @OptionGroup var target: JobTarget
    @Flag(help: "Do not ask.") var yes = false

    func run() async throws {
      try Confirmation.ask("cancel job \(target.job)? What is not signed yet will not be", isGiven: yes)
      try await target.change { client, job, options in try await client.cancel(.init(jobID: job), options: options) }
    }
  }

  struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Try the batches of a job again that failed.",
      discussion: """
        Records that failed alone are not tried again: submit another job for them. Example: chancery jobs retry 0190a3c2-…
        """)

    @OptionGroup var target: JobTarget

    func run() async throws {
      try await target.change { client, job, options in
        let reply = try await client.retry(.init(jobID: job), options: options)
        StandardError.write("\(reply.batches) batches are tried again\n")
        return reply.job ?? ChanceryV1.Job()
      }
    }
  }
}

/// The job that a command changes, and prints afterwards.
struct JobTarget: ParsableArguments {
  @Argument(help: "The job's id.") var job: String
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func change(
    _ body: (ChanceryV1.Jobs.Client, String, CallOptions) async throws -> ChanceryV1.Job
  ) async throws {
    let changed = try await connection.with(.coordinator) { channel in
      try await body(ChanceryV1.Jobs.Client(channel), job, connection.call)
    }
    output.print(JobRow(changed))
  }
}

struct SignCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sign", abstract: "Sign all records that are there now, and follow the job until it ends.",
    discussion: "Ctrl-C stops following; the job goes on. Example: chancery sign --batch-size 1000")

  @OptionGroup var submission: SubmissionOptions
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let ended = try await connection.with(.coordinator) { channel in
      let job = try await ChanceryV1.Jobs.Client(channel).submit(submission.request, options: connection.call)
      StandardError.write("job \(job.jobID): follow it again with 'chancery jobs watch \(job.jobID)'\n")
      return try await JobWatch.follow(job.jobID, on: channel)
    }
    output.print(JobRow(ended))
    try JobWatch.checkOutcome(ended)
  }
}

/// Following a job with live progress.
enum JobWatch {
  /// Follows until the job has ended, over interruptions of the connection; returns its last state. `onProgress` is told
  /// how many records are done.
  static func follow(
    _ id: String, on channel: any RPCChannel, intervalMilliseconds: UInt32 = 200, isQuiet: Bool = false,
    onProgress: (UInt64) async -> Void = { _ in }
  ) async throws -> ChanceryV1.Job {
    let client = ChanceryV1.Jobs.Client(channel)
    let progress = ProgressLine("signing", isQuiet: isQuiet)
    defer { progress.finish() }
    while true {
      do {
        let request = ChanceryV1.WatchJobRequest(jobID: id, intervalMs: intervalMilliseconds)
        let last = try await client.watch(request, options: CallOptions(waitForReady: true)) { updates in
          var last: ChanceryV1.Job?
          for try await job in updates {
            last = job
            let counts = job.counts ?? ChanceryV1.JobCounts()
            let done = counts.signed + counts.failed + counts.alreadySigned
            progress.update(done, of: job.planned ? counts.planned : 0)
            await onProgress(done)
          }
          return last
        }
        if let last { return last }
        throw RPCError(.internal, "the watch of job \(id) ended without a word")
      } catch let error as RPCError where error.code == .unavailable {
        // The job goes on without us: look again when the coordinator is back.
        try await Task.sleep(for: .milliseconds(200))
      }
    }
  }

  /// Turns what became of a job into an exit code.
  static func checkOutcome(_ job: ChanceryV1.Job) throws {
    let failed = job.counts?.failed ?? 0
    if job.state == .cancelled {
      throw CommandFailure(code: "job_cancelled", message: "job \(job.jobID) was cancelled")
    }
    if failed > 0 {
      throw CommandFailure(
        code: "records_failed", message: "\(failed) records of job \(job.jobID) cannot be signed",
        hint: "see why with 'chancery records get ID --status --job \(job.jobID)'", exitCode: .someFailed)
    }
  }
}

/// A job as commands print it.
struct JobRow: TableRow {
  var jobID: String
  var source: String
  var algorithm: String
  var form: String
  var batchSize: UInt32
  var state: String
  var priority: Int32
  var planned: UInt64
  var signed: UInt64
  var alreadySigned: UInt64
  var failed: UInt64
  var pending: UInt64
  var isPlanned: Bool
  var createdAt: String?
  var endedAt: String?
  var traceID: String

  enum CodingKeys: String, CodingKey {
    case jobID = "job_id"
    case source, algorithm, form
    case batchSize = "batch_size"
    case state, priority, planned, signed
    case alreadySigned = "already_signed"
    case failed, pending
    case isPlanned = "fully_planned"
    case createdAt = "created_at"
    case endedAt = "ended_at"
    case traceID = "trace_id"
  }

  init(_ job: ChanceryV1.Job) {
    let counts = job.counts ?? ChanceryV1.JobCounts()
    jobID = job.jobID
    source = job.source
    algorithm = job.algorithm.name
    form = "\(job.form)"
    batchSize = job.batchSize
    state = "\(job.state)"
    priority = job.priority
    planned = counts.planned
    signed = counts.signed
    alreadySigned = counts.alreadySigned
    failed = counts.failed
    pending = counts.pending
    isPlanned = job.planned
    createdAt = Date(microseconds: job.createdAtUs)?.text
    endedAt = Date(microseconds: job.endedAtUs)?.text
    traceID = job.traceID
  }

  static let columns = [
    TableColumn("JOB"), TableColumn("STATE", isState: true), TableColumn("ALGORITHM"),
    TableColumn("BATCH", isNumber: true), TableColumn("PLANNED", isNumber: true), TableColumn("SIGNED", isNumber: true),
    TableColumn("ALREADY", isNumber: true), TableColumn("FAILED", isNumber: true),
    TableColumn("PENDING", isNumber: true, isWide: true), TableColumn("SOURCE", isWide: true),
    TableColumn("PRIORITY", isNumber: true, isWide: true), TableColumn("CREATED"), TableColumn("ENDED", isWide: true),
    TableColumn("TRACE", isWide: true),
  ]

  var resourceName: String { "job/\(jobID)" }

  var cells: [String] {
    [
      jobID, state, algorithm, String(batchSize), planned.grouped, signed.grouped, alreadySigned.grouped,
      failed.grouped, pending.grouped, source, String(priority), createdAt ?? "", endedAt ?? "", traceID,
    ]
  }
}
