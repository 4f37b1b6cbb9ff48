import Domain
import RPC
import Schema
import Synchronization

/// A batch that a coordinator has given to this signer: where its records come in, and where its answer comes in.
final class BatchWork: Sendable {
  /// What the coordinator did with the result.
  enum Answer: Sendable {
    case committed
    case refused(String)
  }

  let batch: BatchAttempt
  let algorithm: SignatureAlgorithm
  let form: SignatureForm
  /// How many records it has.
  let count: Int
  /// The trace of its job, in the span of this attempt.
  let trace: TraceContext?
  /// The records as they come, bounded by the credit given to the coordinator; ends when all have come.
  let chunks: AsyncStream<ChanceryV1.RecordChunk>
  private let chunkInput: AsyncStream<ChanceryV1.RecordChunk>.Continuation
  private let answers: AsyncStream<Answer>
  private let answerInput: AsyncStream<Answer>.Continuation
  private let done = Atomic<Int>(0)
  private let refused = Atomic(false)
  private let credit: Mutex<Credit>

  /// What the coordinator has spent on this batch and has not got back.
  private struct Credit {
    var batches = 1
    var bytes = 0
  }

  /// A batch that has come; or, if `isResent`, one that was signed before, and has cost the coordinator no credit.
  init(
    batch: BatchAttempt, algorithm: SignatureAlgorithm, form: SignatureForm, count: Int, trace: TraceContext?,
    isResent: Bool = false
  ) {
    self.batch = batch
    self.algorithm = algorithm
    self.form = form
    self.count = count
    self.trace = trace
    credit = Mutex(isResent ? Credit(batches: 0) : Credit())
    (chunks, chunkInput) = AsyncStream.makeStream()
    (answers, answerInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
  }

  /// Records signed so far.
  var recordsDone: Int { done.load(ordering: .relaxed) }
  /// Whether the coordinator has taken the batch back: signing on would be in vain.
  var isRefused: Bool { refused.load(ordering: .relaxed) }

  /// Records came. Throws `INTERNAL` when the columns of the chunk do not fit together.
  func add(_ chunk: ChanceryV1.RecordChunk) throws(RPCError) {
    guard chunk.recordIds.count == chunk.payloadSizes.count,
      chunk.payloadSizes.reduce(0, { $0 + Int($1) }) == chunk.payloads.count
    else { throw RPCError(.internal, "the columns of a chunk of records of \(batch) do not fit together") }
    credit.withLock { $0.bytes += chunk.payloads.count }
    chunkInput.yield(chunk)
  }

  /// The credit for a chunk that was signed.
  func credit(for chunk: ChanceryV1.RecordChunk) -> ChanceryV1.WorkCredit {
    credit.withLock { $0.bytes -= chunk.payloads.count }
    return ChanceryV1.WorkCredit(payloadBytes: UInt64(chunk.payloads.count))
  }

  /// All credit for the batch that the coordinator has not got back; nil if there is none. The batch is over, or as good as.
  func remainingCredit() -> ChanceryV1.WorkCredit? {
    credit.withLock { credit in
      defer { credit = Credit(batches: 0, bytes: 0) }
      guard credit.batches > 0 || credit.bytes > 0 else { return nil }
      return ChanceryV1.WorkCredit(batches: UInt32(credit.batches), payloadBytes: UInt64(credit.bytes))
    }
  }

  func endRecords() { chunkInput.finish() }

  func signed(_ count: Int) { done.wrappingAdd(count, ordering: .relaxed) }

  func settle(_ answer: Answer) {
    if case .refused = answer { refused.store(true, ordering: .relaxed) }
    answerInput.yield(answer)
    chunkInput.finish()
  }

  /// The coordinator's answer; nil when the task is cancelled first.
  func answer() async -> Answer? {
    for await answer in answers { return answer }
    return nil
  }
}
