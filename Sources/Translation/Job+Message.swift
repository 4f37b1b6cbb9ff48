public import Domain
import RPC
public import Schema

extension Job {
  /// The job as a message.
  public var message: ChanceryV1.Job {
    ChanceryV1.Job(
      jobID: id.description, source: sourceName, algorithm: algorithm.message, batchSize: UInt32(batchSize.rawValue),
      state: state.message, priority: Int32(priority.rawValue), idempotencyKey: idempotencyKey?.rawValue ?? "",
      recordIDBound: recordBound.rawValue, planned: isPlanned, counts: counts.message, createdAtUs: createdAt.rawValue,
      endedAtUs: endedAt?.rawValue ?? 0, form: form.message,
      traceID: TraceContext(of: id, submittedIn: trace)?.traceID ?? "")
  }
}

extension JobState {
  fileprivate var message: ChanceryV1.JobState {
    switch self {
    case .running: .running
    case .paused: .paused
    case .done: .done
    case .cancelled: .cancelled
    }
  }
}

extension JobCounts {
  fileprivate var message: ChanceryV1.JobCounts {
    ChanceryV1.JobCounts(
      planned: UInt64(planned), signed: UInt64(signed), failed: UInt64(failed), alreadySigned: UInt64(alreadySigned),
      pending: UInt64(max(pending, 0)), batches: UInt64(batches), batchesLeased: UInt64(batchesLeased),
      batchesSigned: UInt64(batchesSigned))
  }
}
