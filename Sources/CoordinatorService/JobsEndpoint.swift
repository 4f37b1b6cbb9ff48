import Domain
import RPC
import Schema
import Storage
import Synchronization
import Telemetry
import TimeAndChance
import Translation

/// Submits jobs and says how they stand.
struct JobsEndpoint: ChanceryV1.Jobs.Service {
  let coordinator: Coordinator

  /// See `Protos/chancery/v1/jobs.proto`.
  func submit(
    _ request: ChanceryV1.SubmitJobRequest, context: ServerContext
  ) async throws -> ChanceryV1.Job {
    let submission = try JobSubmission(
      request, id: JobID(bytes: coordinator.random.nextUUID())!, trace: CallScope.current?.trace)
    let job = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.submit(submission)
    }
    if job.id == submission.id {
      coordinator.observer.count("chancery_jobs_submitted_total")
      coordinator.observer.event(
        .info, "job.submitted", "\(job.algorithm), batches of \(job.batchSize)", ["job": job.id.description])
    }
    coordinator.planBell.ring()
    return job.message
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func get(_ request: ChanceryV1.GetJobRequest, context: ServerContext) async throws -> ChanceryV1.Job {
    try await job(JobID(parsing: request.jobID, field: "job_id")).message
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func list(
    _ request: ChanceryV1.ListJobsRequest, context: ServerContext
  ) async throws -> ChanceryV1.ListJobsResponse {
    guard request.pageSize <= 1000 else {
      throw RPCError(.invalidArgument, "page_size \(request.pageSize) is above 1000")
    }
    let limit = request.pageSize == 0 ? 100 : Int(request.pageSize)
    let before = try request.pageToken.isEmpty ? nil : JobCursor(pageToken: request.pageToken)
    let jobs = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.jobs(limit: limit + 1, before: before)
    }
    let page = jobs.prefix(limit)
    let next = jobs.count > limit ? page.last.map { JobCursor(createdAt: $0.createdAt, id: $0.id).pageToken } : nil
    return ChanceryV1.ListJobsResponse(jobs: page.map(\.message), nextPageToken: next ?? "")
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func watch(
    _ request: ChanceryV1.WatchJobRequest, replies: RPCWriter<ChanceryV1.Job>, context: ServerContext
  ) async throws {
    let id = try JobID(parsing: request.jobID, field: "job_id")
    let interval = request.intervalMs == 0 ? 500 : request.intervalMs
    guard (100...60_000).contains(interval) else {
      throw RPCError(.invalidArgument, "interval_ms \(interval) is not between 100 and 60000")
    }
    var previous: Job?
    while true {
      let job = try await job(id)
      if job != previous { try await replies.write(job.message) }
      if job.state.hasEnded { return }
      previous = job
      try await coordinator.clock.sleep(for: .milliseconds(Int(interval)))
    }
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func pause(_ request: ChanceryV1.PauseJobRequest, context: ServerContext) async throws -> ChanceryV1.Job {
    try await set(request.jobID, to: .paused)
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func resume(_ request: ChanceryV1.ResumeJobRequest, context: ServerContext) async throws -> ChanceryV1.Job {
    try await set(request.jobID, to: .running)
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func cancel(_ request: ChanceryV1.CancelJobRequest, context: ServerContext) async throws -> ChanceryV1.Job {
    try await set(request.jobID, to: .cancelled)
  }

  /// See `Protos/chancery/v1/jobs.proto`.
  func retry(
    _ request: ChanceryV1.RetryJobRequest, context: ServerContext
  ) async throws -> ChanceryV1.RetryJobResponse {
    let id = try JobID(parsing: request.jobID, field: "job_id")
    let batches = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.retryFailed(id)
    }
    if batches > 0 { report("job.retried", id, "\(batches) batches that had failed are tried again") }
    return ChanceryV1.RetryJobResponse(job: try await job(id).message, batches: UInt64(batches))
  }

  private func set(_ text: String, to state: JobState) async throws -> ChanceryV1.Job {
    let id = try JobID(parsing: text, field: "job_id")
    let job = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.setState(id, to: state)
    }
    report("job.\(state.rawValue)", id, "by request")
    return job.message
  }

  /// A job was changed: there may be work, or less of it.
  private func report(_ event: String, _ id: JobID, _ message: String) {
    coordinator.observer.event(.info, event, message, ["job": id.description])
    coordinator.planBell.ring()
  }

  func job(_ id: JobID) async throws(RPCError) -> Job {
    let job = try await coordinator.stored { () async throws(StorageError) in try await coordinator.store.job(id) }
    guard let job else { throw RPCError(.notFound, "there is no job \(id)") }
    return job
  }
}

extension JobSubmission {
  /// Checks a request in the order that the .proto file gives.
  fileprivate init(_ request: ChanceryV1.SubmitJobRequest, id: JobID, trace: TraceContext?) throws(RPCError) {
    let size = request.batchSize == 0 ? BatchSize.default : BatchSize(rawValue: Int(request.batchSize))
    guard let size else {
      throw RPCError(.invalidArgument, "batch_size \(request.batchSize) is not between 1 and 10000")
    }
    let algorithm = try SignatureAlgorithm(request.algorithm)
    let form = try SignatureForm(request.form)
    guard let priority = JobPriority(rawValue: Int(request.priority)) else {
      throw RPCError(.invalidArgument, "priority \(request.priority) is not between -100 and 100")
    }
    var key: IdempotencyKey?
    if !request.idempotencyKey.isEmpty {
      key = IdempotencyKey(rawValue: request.idempotencyKey)
      if key == nil {
        throw RPCError(.invalidArgument, "idempotency_key must have 1 to 128 printable ASCII characters")
      }
    }
    self.init(
      id: id, sourceName: request.source.isEmpty ? Source.records : request.source, algorithm: algorithm,
      form: form, batchSize: size, priority: priority, idempotencyKey: key, trace: trace?.jobTrace)
  }
}

extension JobCursor {
  /// `microseconds.uuid`.
  fileprivate var pageToken: String { "\(createdAt.rawValue).\(id)" }

  fileprivate init(pageToken: String) throws(RPCError) {
    let parts = pageToken.split(separator: ".")
    guard parts.count == 2, let time = Int64(parts[0]), let id = JobID(String(parts[1])) else {
      throw RPCError(.invalidArgument, "page_token '\(pageToken.prefix(64))' is not one that List returned")
    }
    self.init(createdAt: Timestamp(rawValue: time), id: id)
  }
}
