import DedicatedThreads
import Domain
import Failpoints
import RPC
import Schema
import Synchronization
import Telemetry
import TimeAndChance
import Translation

/// One stream to one coordinator.
final class WorkSession: Sendable {
  private struct State {
    var works: [BatchAttempt: BatchWork] = [:]
    /// Set when there is a stream to the coordinator.
    var hasBegun = false
    /// Set when no new batches will come: this signer or the coordinator is stopping.
    var isDraining = false
  }

  private let signer: Signer
  private let batchCredit: Int
  private let byteCredit: Int
  private let drainSignal: Latch
  private let state = Mutex(State())

  /// `share` is among how many coordinators the signer divides its credit.
  init(signer: Signer, share: Int, drainSignal: Latch) {
    self.signer = signer
    batchCredit = max(1, (signer.options.batches + share - 1) / share)
    byteCredit = max(2 * StreamLimits.chunkBytes, signer.options.payloadBytes / share)
    self.drainSignal = drainSignal
  }

  /// Whether there is, or was, a stream to the coordinator.
  var hasBegun: Bool { state.withLock { $0.hasBegun } }

  func run(_ client: ChanceryV1.Batches.Client) async throws {
    try await client.work(options: CallOptions(waitForReady: true)) { requests, responses in
      state.withLock { $0.hasBegun = true }
      let output = WorkOutput(requests)
      try await output.send(
        .hello(
          .init(
            signerID: signer.id.description, name: signer.options.name,
            algorithms: signer.options.algorithms.map(\.message))))
      try await output.send(.credit(.init(batches: UInt32(batchCredit), payloadBytes: UInt64(byteCredit))))
      // A group that discards: another keeps what is left of each task, some kilobytes for each batch, until the stream ends.
      // What its tasks throw is that the stream, or this process, is ending, and the loop hears of that by itself.
      try await withThrowingDiscardingTaskGroup { group in
        group.addTask { try? await self.reportProgress(output) }
        group.addTask { try? await self.waitForDrain(output) }
        group.addTask { try? await self.sendUnanswered(output) }
        while let response = try await responses.next() {
          if let work = try await handle(response, output) {
            group.addTask {
              try? await CallScope.$current.withValue(.tracing(work.trace)) { try await self.process(work, output) }
            }
          }
        }
        group.cancelAll()
      }
    }
  }

  /// Takes in one message; returns a batch that is to be signed.
  private func handle(
    _ response: ChanceryV1.WorkResponse, _ output: WorkOutput
  ) async throws(RPCError) -> BatchWork? {
    switch response.kind {
    case .begin(let begin):
      let work = BatchWork(
        batch: try BatchAttempt(begin.batch), algorithm: try SignatureAlgorithm(begin.algorithm, default: nil),
        form: try SignatureForm(begin.form), count: Int(begin.count), trace: TraceContext(begin.trace))
      state.withLock { $0.works[work.batch] = work }
      return work
    case .records(let chunk):
      if let work = try work(chunk.batch) {
        try work.add(chunk)
      } else {
        try await output.send(.credit(.init(payloadBytes: UInt64(chunk.payloads.count))))
      }
    case .end(let end): try work(end.batch)?.endRecords()
    case .committed(let committed): try work(committed.batch)?.settle(.committed)
    case .refused(let refused): try work(refused.batch)?.settle(.refused(refused.message))
    case .drain:
      state.withLock { $0.isDraining = true }
      finishIfIdle(output)
    case nil: throw RPCError(.internal, "the coordinator sent an empty message")
    }
    return nil
  }

  /// The batch that a message is about; nil if it was given back in the meantime.
  private func work(_ ref: ChanceryV1.BatchRef?) throws(RPCError) -> BatchWork? {
    let batch = try BatchAttempt(ref)
    return state.withLock { $0.works[batch] }
  }

  private func waitForDrain(_ output: WorkOutput) async throws {
    await drainSignal.wait()
    guard !Task.isCancelled else { return }
    state.withLock { $0.isDraining = true }
    try await output.send(.drain(.init()))
    finishIfIdle(output)
  }

  private func finishIfIdle(_ output: WorkOutput) {
    if state.withLock({ $0.isDraining && $0.works.isEmpty }) { output.finish() }
  }

  private func reportProgress(_ output: WorkOutput) async throws {
    while true {
      try await signer.clock.sleep(for: signer.options.timing.progressInterval)
      let works = state.withLock { $0.works.values.sorted { $0.batch < $1.batch } }
      guard !works.isEmpty else { continue }
      try await output.send(
        .progress(
          .init(batches: works.map { .init(batch: $0.batch.message, recordsDone: UInt32($0.recordsDone)) })))
    }
  }
}

// MARK: - A batch

extension WorkSession {
  private func process(_ work: BatchWork, _ output: WorkOutput) async throws {
    try await sign(work, output)
    state.withLock { $0.works[work.batch] = nil }
    if let credit = work.remainingCredit() { try await output.send(.credit(credit)) }
    finishIfIdle(output)
  }

  /// Signs a batch from the first chunk to the coordinator's answer.
  private func sign(_ work: BatchWork, _ output: WorkOutput) async throws {
    let lease: KeyLease
    let asked = signer.clock.now
    do throws(RPCError) {
      lease = try await signer.leases.acquire(work.algorithm, work.form)
    } catch {
      if Task.isCancelled { throw error }
      return try await giveBack(work, .noKey, error.message, output)
    }
    var keepsLease = false
    defer { if !keepsLease { signer.leases.release(lease.name) } }
    Failpoint.signerLeased.pass()
    let labels = ["algorithm": work.algorithm.name]
    signer.observer.record("chancery_lease_wait_seconds", labels, time: asked.duration(to: signer.clock.now))

    var result = ChanceryV1.BatchResult(
      batch: work.batch.message, keyID: lease.name.keyID.rawValue, keyEpoch: lease.name.epoch.rawValue,
      leaseID: lease.name.leaseID.bytes, form: work.form.message, trace: work.trace?.message)
    var sent: [ChanceryV1.SignatureChunk] = []
    var signing = Duration.zero
    for await chunk in work.chunks {
      let signed = try await sign(chunk, of: work, with: lease)
      if work.isRefused { break }
      if signed.isIncomplete {
        try Task.checkCancellation()
        return try await giveBack(work, .leaseLost, "the lease of key \(lease.name.keyID) ended while signing", output)
      }
      result.signed += UInt32(signed.recordIDs.count)
      signing += signed.took
      result.failures += signed.failures
      for part in signed.messages(of: work) {
        try await output.send(.signatures(part))
        sent.append(part)
      }
      try await output.send(.credit(work.credit(for: chunk)))
    }
    try Task.checkCancellation()
    guard !work.isRefused else { return }
    Failpoint.signerSigned.pass()
    signer.observer.record("chancery_batch_signing_seconds", labels, time: signing)
    try await output.send(.result(result))
    Failpoint.signerSent.pass()
    // The next batch may come while this one is being stored.
    if let credit = work.remainingCredit() { try await output.send(.credit(credit)) }
    let unanswered = UnansweredResult(
      batch: work.batch, algorithm: work.algorithm, form: work.form, lease: lease.name, signatures: sent,
      result: result,
      deadline: signer.clock.now.advanced(by: signer.options.timing.leaseTTL))
    keepsLease = await !settle(work, unanswered)
  }

  /// Waits for the coordinator's answer. A result to which none comes is kept, with its lease, to be sent again; returns whether
  /// that is not so.
  private func settle(_ work: BatchWork, _ unanswered: UnansweredResult) async -> Bool {
    let sent = signer.clock.now
    switch await work.answer() {
    case .committed:
      signer.observer.record("chancery_result_wait_seconds", time: sent.duration(to: signer.clock.now))
      Failpoint.signerCommitted.pass()
      signer.observer.count("chancery_batches_signed_total")
      signer.observer.event(.debug, "result.stored", "the coordinator has stored it", unanswered.attributes)
    case .refused(let reason):
      signer.observer.count("chancery_results_refused_total")
      signer.observer.event(.warning, "result.refused", reason, unanswered.attributes)
    case nil:
      // Records that were gone are known to the coordinator alone that gave the batch out.
      let isWhole = unanswered.result.failures.count + Int(unanswered.result.signed) == work.count
      return !(isWhole && signer.unanswered.add(unanswered))
    }
    return true
  }

  /// Sends results again whose answer never came, be they of this stream's coordinator or of another.
  private func sendUnanswered(_ output: WorkOutput) async throws {
    while let unanswered = await signer.unanswered.next() {
      let scope = CallScope.tracing(TraceContext(unanswered.result.trace))
      try await CallScope.$current.withValue(scope) { try await send(unanswered, output) }
      finishIfIdle(output)
    }
  }

  private func send(_ unanswered: UnansweredResult, _ output: WorkOutput) async throws(RPCError) {
    let work = BatchWork(
      batch: unanswered.batch, algorithm: unanswered.algorithm, form: unanswered.form,
      count: Int(unanswered.result.signed), trace: TraceContext(unanswered.result.trace), isResent: true)
    state.withLock { $0.works[work.batch] = work }
    do throws(RPCError) {
      for chunk in unanswered.signatures { try await output.send(.signatures(chunk)) }
      try await output.send(.result(unanswered.result))
    } catch {
      if !signer.unanswered.add(unanswered) { signer.leases.release(unanswered.lease) }
      throw error
    }
    signer.observer.count("chancery_results_resent_total")
    signer.observer.event(
      .info, "result.resent", "sent again, for no answer came to it before", unanswered.attributes)
    if await settle(work, unanswered) { signer.leases.release(unanswered.lease) }
    state.withLock { $0.works[work.batch] = nil }
  }

  private func sign(
    _ chunk: ChanceryV1.RecordChunk, of work: BatchWork, with lease: KeyLease
  ) async throws -> SignedChunk {
    let clock = signer.clock
    let signed = try await signer.compute.run { cancellation in
      lease.sign(chunk, clock: clock) { cancellation.isCancelled || work.isRefused }
    }
    work.signed(signed.recordIDs.count)
    signer.observer.count("chancery_records_signed_total", by: Double(signed.recordIDs.count))
    signer.observer.record(
      "chancery_record_signing_seconds", ["algorithm": work.algorithm.name], times: signed.durations)
    return signed
  }

  private func giveBack(
    _ work: BatchWork, _ reason: ChanceryV1.ReturnReason, _ message: String, _ output: WorkOutput
  ) async throws(RPCError) {
    signer.observer.event(.warning, "batch.given_back", message, work.batch.attributes)
    try await output.send(.returned(.init(batch: work.batch.message, reason: reason, message: message)))
  }
}

extension UnansweredResult {
  /// What events about the result say of it: which attempt at which batch, with which lease of which key.
  fileprivate var attributes: [String: String] { batch.attributes.merging(lease.attributes) { $1 } }
}

extension SignedChunk {
  /// The signatures in messages of bounded size.
  fileprivate func messages(of work: BatchWork) -> [ChanceryV1.SignatureChunk] {
    let perRecord = work.algorithm.maximumSignatureBytes + SHA256Digest.byteCount + 16
    let limit = max(1, StreamLimits.chunkBytes / perRecord)
    if recordIDs.count <= limit { return [message(of: work.batch)] }
    var messages: [ChanceryV1.SignatureChunk] = []
    var start = 0
    var offset = 0
    while start < recordIDs.count {
      let range = start..<min(start + limit, recordIDs.count)
      let bytes = sizes[range].reduce(0) { $0 + Int($1) }
      let part = SignedChunk(
        recordIDs: Array(recordIDs[range]), sizes: Array(sizes[range]),
        signatures: Array(signatures[offset..<offset + bytes]),
        digests: Array(digests[32 * range.lowerBound..<32 * range.upperBound]))
      messages.append(part.message(of: work.batch))
      (start, offset) = (range.upperBound, offset + bytes)
    }
    return messages
  }

  private func message(of batch: BatchAttempt) -> ChanceryV1.SignatureChunk {
    ChanceryV1.SignatureChunk(
      batch: batch.message, recordIds: recordIDs, signatureSizes: sizes, signatures: signatures,
      payloadDigests: digests)
  }
}

/// What goes to the coordinator.
struct WorkOutput: Sendable {
  private let requests: RPCWriter<ChanceryV1.WorkRequest>

  init(_ requests: RPCWriter<ChanceryV1.WorkRequest>) { self.requests = requests }

  func send(_ kind: ChanceryV1.WorkRequest.Kind) async throws(RPCError) {
    try await requests.write(ChanceryV1.WorkRequest(kind: kind))
  }

  func finish() { requests.finish() }
}
