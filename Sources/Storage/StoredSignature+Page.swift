package import Domain

extension StoredSignature {
  /// What the signature counts towards the bytes of a page: what varies in size, and 128 for the rest.
  package var pageBytes: Int {
    128 + signature.count + (payload?.count ?? 0) + (externalID?.utf8.count ?? 0)
  }
}

extension RecordFailure {
  /// Why a record of a failed batch has failed.
  package static func batchFailed(_ record: RecordID, note: String?) -> RecordFailure {
    RecordFailure(
      recordID: record, code: .batchFailed, message: note ?? "its batch came back as often as its budget allows")
  }
}

extension StorageError {
  package static func externalIDTaken(_ externalID: String) -> StorageError {
    StorageError(
      .conflict,
      "external id \(String(reflecting: externalID)) is taken by a record with another payload: put the same bytes, or "
        + "use another external id")
  }
}
