package import Domain

// The errors that all implementations of `JobStore` throw alike.
extension StorageError {
  package static func unknownSource(_ name: String) -> StorageError {
    StorageError(.notFound, "there is no source named \(String(reflecting: name)): list the sources, or add it")
  }

  package static func emptySource(_ name: String) -> StorageError {
    StorageError(.wrongState, "source \(name) has no records: put some first")
  }

  package static func noActiveKey(_ algorithm: SignatureAlgorithm) -> StorageError {
    StorageError(.wrongState, "there is no active \(algorithm) key: generate, import or enable one first")
  }

  package static func submissionConflict(_ submission: JobSubmission, with job: JobID) -> StorageError {
    let name = submission.idempotencyKey.map { "idempotency key \(String(reflecting: $0.rawValue))" } ?? "job id"
    return StorageError(
      .conflict, "the \(name) is taken by job \(job), which has other parameters: repeat those, or use another key")
  }

  package static func unknownJob(_ id: JobID) -> StorageError {
    StorageError(.notFound, "there is no job \(id)")
  }

  package static func jobState(_ id: JobID, _ state: JobState, _ next: JobState) -> StorageError {
    StorageError(.wrongState, "job \(id) is \(state.rawValue) and cannot be made \(next.rawValue)")
  }

  package static func retryOfCancelled(_ id: JobID) -> StorageError {
    StorageError(.wrongState, "job \(id) is cancelled: submit another for the records that are left")
  }
}
