import Domain
import Manifest
import RPC
import Schema
import Signing
import Storage
import Translation

extension JobsEndpoint {
  /// See `Protos/chancery/v1/jobs.proto`.
  func manifest(
    _ request: ChanceryV1.ManifestRequest, replies: RPCWriter<ChanceryV1.ManifestPart>, context: ServerContext
  ) async throws {
    let job = try await job(JobID(parsing: request.jobID, field: "job_id"))
    guard job.state.hasEnded else {
      throw RPCError(.failedPrecondition, "job \(job.id) is \(job.state.rawValue): wait until it has ended")
    }
    guard let sealing = coordinator.options.manifestSealing else {
      throw RPCError(
        .failedPrecondition, "this coordinator has no key for manifests: start it with --manifest-key FILE")
    }
    do {
      try await write(job, sealing, replies)
    } catch let error as SigningError {
      throw RPCError(.internal, "the manifest cannot be written: \(error)")
    }
  }

  /// What a job that has ended has signed never changes, but a retry may take the job up again: then it has not the counts
  /// that it had.
  private func write(_ job: Job, _ sealing: ManifestSealing, _ replies: RPCWriter<ChanceryV1.ManifestPart>) async throws
  {
    let store = coordinator.store
    let source = try await coordinator.stored { () async throws(StorageError) in
      try await store.source(named: job.sourceName)
    }
    guard let source else { throw RPCError(.notFound, "there is no source '\(job.sourceName)'") }
    var writer = try ManifestWriter(job)
    try await replies.write(ChanceryV1.ManifestPart(lines: try writer.header()))

    let query = SignatureQuery(source: source, job: job.id, includesPayload: false, includesExternalID: true)
    var after: RecordID?
    while true {
      let page = try await coordinator.stored { () async throws(StorageError) in
        try await store.signatures(query, after: after, maximumBytes: StreamLimits.chunkBytes / 8)
      }
      guard let last = page.last else { break }
      after = last.recordID
      var lines: [UInt8] = []
      for signature in page {
        if !writer.knows(signature.keyID) {
          lines += try writer.key(signature.keyID, try await publicKey(signature.keyID))
        }
        guard let digest = SHA256Digest(signature.payloadDigest) else {
          throw RPCError(.dataLoss, "the digest of record \(signature.recordID) has not 32 bytes")
        }
        lines += try writer.entry(
          signature.recordID, externalID: signature.externalID, payloadDigest: digest, keyID: signature.keyID,
          epoch: signature.epoch, signature: signature.signature)
      }
      try await replies.write(ChanceryV1.ManifestPart(lines: lines))
    }
    try await writeFailures(of: job, &writer, replies)

    let now = try await self.job(job.id)
    guard now.state == job.state, now.counts == job.counts, job.counts.signed == Int64(writer.records) else {
      throw RPCError(
        .aborted,
        "job \(job.id) was taken up again, or counts \(job.counts.signed) signatures where \(writer.records) are stored: "
          + "ask again"
      )
    }
    try await replies.write(
      ChanceryV1.ManifestPart(lines: try writer.seal(by: sealing.signer, at: sealing.wallClock())))
  }

  private func writeFailures(
    of job: Job, _ writer: inout ManifestWriter, _ replies: RPCWriter<ChanceryV1.ManifestPart>
  ) async throws {
    var after: RecordID?
    while true {
      let page = try await coordinator.stored { () async throws(StorageError) in
        try await coordinator.store.failures(of: job.id, after: after, limit: 500)
      }
      guard let last = page.last else { return }
      after = last.recordID
      var lines: [UInt8] = []
      for failure in page { lines += try writer.failure(failure) }
      try await replies.write(ChanceryV1.ManifestPart(lines: lines))
    }
  }

  private func publicKey(_ id: KeyID) async throws(RPCError) -> [UInt8] {
    let key = try await coordinator.stored { () async throws(StorageError) in try await coordinator.store.key(id) }
    guard let key else { throw RPCError(.dataLoss, "key \(id), which has signed, is not in the keyring") }
    return key.publicKey
  }
}
