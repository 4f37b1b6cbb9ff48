import Domain

extension SignedBatch {
  /// How many records it speaks of.
  package var recordCount: Int { recordIDs.count + failures.count + missing }

  /// Whether it is one row for each record: as many signatures and digests as ids, ids ascending, and no record both
  /// signed and failed.
  ///
  /// What is not is refused as `wrongRecords` without being looked at any further.
  package var isWellFormed: Bool {
    guard missing >= 0, signatureSizes.count == recordIDs.count,
      payloadDigests.count == recordIDs.count * SHA256Digest.byteCount,
      signatureSizes.reduce(0, { $0 + Int($1) }) == signatures.count,
      zip(recordIDs, recordIDs.dropFirst()).allSatisfy({ $0 < $1 })
    else { return false }
    if failures.isEmpty { return true }
    let failed = Set(failures.map(\.recordID.rawValue))
    return failed.count == failures.count && !recordIDs.contains { failed.contains($0) }
  }

  /// The least and the greatest id that it names; nil if it names none.
  package var span: ClosedRange<Int64>? {
    let failed = failures.map(\.recordID.rawValue)
    guard let first = (recordIDs.prefix(1) + failed).min(), let last = (recordIDs.suffix(1) + failed).max() else {
      return nil
    }
    return first...last
  }
}
