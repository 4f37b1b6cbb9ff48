import Domain
import Schema
import Signing
import Synchronization
import TimeAndChance

/// The signatures over some records, column by column.
struct SignedChunk: Sendable {
  var recordIDs: [Int64] = []
  var sizes: [UInt32] = []
  var signatures: [UInt8] = []
  var digests: [UInt8] = []
  var failures: [ChanceryV1.FailedRecord] = []
  /// How long some of the records took, failed ones too: every sixteenth, for to keep a time costs time.
  var durations: [Duration] = []
  /// How long all of them took together.
  var took = Duration.zero
  /// Set when the lease ended, or the work was cancelled, before all records were signed.
  var isIncomplete = false
}

extension KeyLease {
  /// Signs records one after another. Between two of them it looks whether the key may still be used: a process that was
  /// stopped and goes on finishes at most the record that it was signing.
  func sign(_ chunk: ChanceryV1.RecordChunk, clock: any ServiceClock, isCancelled: () -> Bool) -> SignedChunk {
    var result = SignedChunk()
    let count = chunk.recordIds.count
    result.recordIDs.reserveCapacity(count)
    result.sizes.reserveCapacity(count)
    result.digests.reserveCapacity(count * SHA256Digest.byteCount)
    signer.withLock { signer in
      result.signatures.reserveCapacity(count * signer.algorithm.maximumSignatureBytes)
      var offset = 0
      let began = clock.now
      var now = began
      defer { result.took = began.duration(to: now) }
      for index in 0..<count {
        guard isUsable(at: now), !isCancelled() else {
          result.isIncomplete = true
          return
        }
        let size = Int(chunk.payloadSizes[index])
        let payload = chunk.payloads.span.extracting(offset..<offset + size)
        offset += size
        do {
          let start = result.signatures.count
          let digest = try signer.sign(payload, appendingTo: &result.signatures)
          result.recordIDs.append(chunk.recordIds[index])
          result.sizes.append(UInt32(result.signatures.count - start))
          digest.withBytes { result.digests.append(contentsOf: $0) }
        } catch {
          result.failures.append(
            .init(recordID: chunk.recordIds[index], code: RecordFailureCode.signingFailed.rawValue, message: "\(error)")
          )
        }
        let started = now
        now = clock.now
        if index.isMultiple(of: 16) { result.durations.append(started.duration(to: now)) }
      }
    }
    return result
  }
}
