import Domain
import RPC
import Schema
import Storage
import Synchronization
import Translation

/// One signer's stream: what to send it, and what of it has not been settled.
final class SignerSession: Sendable {
  let signer: SignerID
  let name: String
  let credit = ByteCredit()
  /// The batches to send, as they are assigned; bounded by the signer's credit.
  let assignments: AsyncStream<ClaimedBatch>
  private let assigned: AsyncStream<ClaimedBatch>.Continuation
  private let replies: RPCWriter<ChanceryV1.WorkResponse>

  init(signer: SignerID, name: String, replies: RPCWriter<ChanceryV1.WorkResponse>) {
    self.signer = signer
    self.name = name
    self.replies = replies
    (assignments, assigned) = AsyncStream.makeStream()
  }

  func assign(_ batch: ClaimedBatch) { assigned.yield(batch) }

  func endAssignments() { assigned.finish() }

  func send(_ kind: ChanceryV1.WorkResponse.Kind) async throws(RPCError) {
    try await replies.write(ChanceryV1.WorkResponse(kind: kind))
  }

  /// Tells the signer that the coordinator is stopping.
  func sendDrain() async {
    // A signer that cannot be told is gone, and its batches are given back.
    try? await send(.drain(ChanceryV1.CoordinatorDrain()))
  }
}

/// The results of one signer as they come in, chunk by chunk.
struct ResultAssembly {
  private struct Columns {
    var recordIDs: [Int64] = []
    var sizes: [UInt32] = []
    var signatures: [UInt8] = []
    var digests: [UInt8] = []

    mutating func append(_ chunk: ChanceryV1.SignatureChunk) {
      if recordIDs.isEmpty {
        // Nearly every batch has one chunk: take its columns as they are.
        (recordIDs, sizes) = (chunk.recordIds, chunk.signatureSizes)
        (signatures, digests) = (chunk.signatures, chunk.payloadDigests)
      } else {
        recordIDs += chunk.recordIds
        sizes += chunk.signatureSizes
        signatures += chunk.signatures
        digests += chunk.payloadDigests
      }
    }
  }

  /// The most batches whose results may be coming in at a time.
  static let maximumBatches = 1024

  private var columns: [BatchAttempt: Columns] = [:]

  /// Adds a chunk; throws `INVALID_ARGUMENT` when its columns do not fit together, or there is too much.
  mutating func add(_ chunk: ChanceryV1.SignatureChunk) throws(RPCError) {
    let batch = try BatchAttempt(chunk.batch)
    let count = chunk.recordIds.count
    guard chunk.signatureSizes.count == count, chunk.payloadDigests.count == 32 * count,
      chunk.signatureSizes.reduce(0, { $0 + Int($1) }) == chunk.signatures.count
    else { throw RPCError(.invalidArgument, "the columns of a chunk of signatures of \(batch) do not fit together") }
    guard columns[batch] != nil || columns.count < Self.maximumBatches else {
      throw RPCError(.invalidArgument, "results of more than \(Self.maximumBatches) batches are under way")
    }
    guard (columns[batch]?.recordIDs.count ?? 0) + count <= BatchSize.range.upperBound else {
      throw RPCError(.invalidArgument, "\(batch) has more than \(BatchSize.range.upperBound) signatures")
    }
    columns[batch, default: Columns()].append(chunk)
  }

  /// The whole result, once the signer says that it is.
  mutating func complete(_ result: ChanceryV1.BatchResult, signer: SignerID) throws(RPCError) -> SignedBatch {
    let batch = try BatchAttempt(result.batch)
    let columns = columns.removeValue(forKey: batch) ?? Columns()
    guard columns.recordIDs.count == Int(result.signed) else {
      throw RPCError(
        .invalidArgument, "\(batch) says \(result.signed) signatures, \(columns.recordIDs.count) came")
    }
    guard let lease = LeaseID(bytes: result.leaseID) else {
      throw RPCError(.invalidArgument, "lease_id has \(result.leaseID.count) bytes, not 16")
    }
    guard result.failures.count <= BatchSize.range.upperBound else {
      throw RPCError(.invalidArgument, "\(batch) has \(result.failures.count) failures")
    }
    return SignedBatch(
      batch: batch, signer: signer, keyID: KeyID(rawValue: result.keyID), epoch: Epoch(rawValue: result.keyEpoch),
      leaseID: lease, recordIDs: columns.recordIDs, signatureSizes: columns.sizes, signatures: columns.signatures,
      payloadDigests: columns.digests, form: try SignatureForm(result.form),
      failures: result.failures.map {
        RecordFailure(
          recordID: RecordID(rawValue: $0.recordID), code: RecordFailureCode(rawValue: $0.code),
          message: String($0.message.prefix(RecordFailure.maximumMessageBytes / 4)))
      })
  }

  /// Forgets a batch whose result will not come.
  mutating func drop(_ batch: BatchAttempt) { columns[batch] = nil }
}
