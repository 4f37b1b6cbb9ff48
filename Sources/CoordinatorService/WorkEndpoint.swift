import Domain
import RPC
import Schema
import Storage
import Synchronization
import Telemetry
import TimeAndChance
import Translation

/// Streams batches to signers and takes their results.
struct WorkEndpoint: ChanceryV1.Batches.Service {
  let coordinator: Coordinator

  /// A signer's stream; see `Protos/chancery/v1/batches.proto`.
  func work(
    _ requests: RPCReader<ChanceryV1.WorkRequest>, replies: RPCWriter<ChanceryV1.WorkResponse>, context: ServerContext
  ) async throws {
    guard case .hello(let hello)? = try await requests.next()?.kind else {
      throw RPCError(.invalidArgument, "the first message of a signer is hello")
    }
    let signer = try SignerID(parsing: hello.signerID, field: "signer_id")
    let session = SignerSession(signer: signer, name: hello.name, replies: replies)
    // A newer signer may know more.
    let algorithms = Set(hello.algorithms.compactMap { try? SignatureAlgorithm($0, default: nil) })
    guard !algorithms.isEmpty else {
      throw RPCError(.invalidArgument, "algorithms: a signer names at least one that is known here")
    }
    let id = try open(session, algorithms)
    coordinator.observer.event(
      .info, "signer.connected", "signer \(hello.name) is here", ["signer": signer.description])
    var hasDrained = false
    defer { session.endAssignments() }
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await self.sendBatches(of: session, id) }
        try await self.receive(requests, from: session, id, hasDrained: &hasDrained)
        session.endAssignments()
        group.cancelAll()
      }
    } catch {
      close(session, id, cause: .signerLost)
      throw error
    }
    close(session, id, cause: hasDrained ? .drained : .signerLost)
  }

  private func open(
    _ session: SignerSession, _ algorithms: Set<SignatureAlgorithm>
  ) throws(RPCError) -> WorkLedger.SessionID {
    let id = coordinator.state.withLock { state -> WorkLedger.SessionID? in
      if state.isDraining { return nil }
      let id = state.ledger.open(algorithms)
      state.sessions[id] = session
      coordinator.observer.gauge("chancery_signers_connected", to: Double(state.ledger.sessionCount))
      return id
    }
    guard let id else { throw RPCError(.unavailable, "the coordinator is stopping") }
    return id
  }

  private func close(_ session: SignerSession, _ id: WorkLedger.SessionID, cause: BatchReturn) {
    let lost = coordinator.state.withLock { state in
      state.sessions[id] = nil
      defer { coordinator.observer.gauge("chancery_signers_connected", to: Double(state.ledger.sessionCount)) }
      return state.ledger.close(id)
    }
    coordinator.observer.event(
      .info, "signer.disconnected", "signer \(session.name) has left with \(lost.count) batches",
      ["signer": session.signer.description])
    coordinator.giveBack(lost.map { ReturnedBatch(batch: $0, cause: cause) })
  }

  // MARK: - To the signer

  private func sendBatches(of session: SignerSession, _ id: WorkLedger.SessionID) async throws {
    try await withThrowingDiscardingTaskGroup { group in
      for await batch in session.assignments {
        group.addTask {
          let trace = TraceContext(of: batch.batch.jobID, submittedIn: batch.trace)?.child(random: coordinator.random)
          try await CallScope.$current.withValue(.tracing(trace)) {
            try await self.sendOrTakeBack(batch, to: session, id)
          }
        }
      }
    }
  }

  /// Sends a batch; one whose records cannot be read is taken back, and the others of the signer go on.
  private func sendOrTakeBack(
    _ batch: ClaimedBatch, to session: SignerSession, _ id: WorkLedger.SessionID
  ) async throws(RPCError) {
    guard let failure = try await send(batch, to: session, id) else { return }
    guard coordinator.state.withLock({ $0.ledger.remove(batch.batch, of: id) }) else { return }
    coordinator.observer.event(.warning, "batch.unreadable", "\(failure)", batch.batch.attributes)
    // What passes by itself costs the batch nothing.
    let cause = failure.isRetryable ? BatchReturn.keyUnavailable : .failed(reason: failure.message)
    coordinator.giveBack([ReturnedBatch(batch: batch.batch, cause: cause)])
    let message = "the records could not be read"
    try await session.send(.refused(.init(batch: batch.batch.message, reason: .staleAttempt, message: message)))
  }

  /// Sends a batch in chunks, under the signer's credit; only one chunk is in memory. Records that are gone or cannot be
  /// signed are noted, and fail alone when the others are stored. Returns why the records cannot be read.
  private func send(
    _ batch: ClaimedBatch, to session: SignerSession, _ id: WorkLedger.SessionID
  ) async throws(RPCError) -> StorageError? {
    let ref = batch.batch.message
    try await session.send(
      .begin(
        .init(
          batch: ref, algorithm: batch.algorithm.message, count: UInt32(batch.count), form: batch.form.message,
          trace: CallScope.current?.trace?.message)))
    var after: RecordID?
    var seen = 0
    var unsent = WorkLedger.Unsent()
    while true {
      let page: PayloadPage
      do throws(StorageError) {
        page = try await coordinator.observer.timing(
          "chancery_store_seconds", ["operation": "payloads"], coordinator.clock
        ) { () async throws(StorageError) in
          try await coordinator.store.payloads(of: batch, after: after, maximumBytes: StreamLimits.chunkBytes)
        }
      } catch {
        // The stream is ending, which gives back what the signer had; nothing is wrong with the batch.
        if error.code == .cancelled { throw RPCError(.cancelled, error.message) }
        return error
      }
      guard let last = page.lastID else { break }
      unsent.failures += page.failures
      seen += page.ids.count + page.failures.count
      after = last
      if !page.ids.isEmpty {
        try await session.credit.take(page.payloads.count)
        try await session.send(
          .records(.init(batch: ref, recordIds: page.ids, payloadSizes: page.sizes, payloads: page.payloads)))
      }
      if seen >= batch.count || last >= batch.lastID { break }
    }
    unsent.missing = max(0, batch.count - seen)
    if unsent != WorkLedger.Unsent() {
      coordinator.state.withLock { [unsent] in $0.ledger.leaveOut(unsent, of: batch.batch, of: id) }
      coordinator.observer.event(
        .warning, "records.unsent",
        "of \(batch.source.name), \(unsent.missing) records that were planned are gone and \(unsent.failures.count) "
          + "cannot be signed", batch.batch.attributes)
    }
    try await session.send(.end(.init(batch: ref)))
    return nil
  }

  // MARK: - From the signer

  private func receive(
    _ requests: RPCReader<ChanceryV1.WorkRequest>, from session: SignerSession, _ id: WorkLedger.SessionID,
    hasDrained: inout Bool
  ) async throws {
    var assembly = ResultAssembly()
    // A group that discards: another keeps what is left of each task, some kilobytes for each batch, until the stream ends. What
    // a commit throws is that the stream, or this process, is ending.
    try await withThrowingDiscardingTaskGroup { group in
      while let request = try await requests.next() {
        switch request.kind {
        case .credit(let credit):
          session.credit.add(credit.payloadBytes)
          coordinator.state.withLock { $0.ledger.addCredit(Int(min(credit.batches, 1 << 16)), to: id) }
          coordinator.workBell.ring()
        case .progress(let progress):
          for entry in progress.batches { _ = touch(try BatchAttempt(entry.batch), id) }
        case .signatures(let chunk):
          try assembly.add(chunk)
          _ = touch(try BatchAttempt(chunk.batch), id)
        case .result(let result):
          var signed = try assembly.complete(result, signer: session.signer)
          let batch = signed.batch
          if let unsent = coordinator.state.withLock({ $0.ledger.beginCommit(batch, of: id) }) {
            signed.missing = unsent.missing
            signed.failures += unsent.failures
            let scope = CallScope.tracing(TraceContext(result.trace))
            group.addTask { [signed] in
              try? await CallScope.$current.withValue(scope) { try await self.commit(signed, session, id) }
            }
          }
        case .returned(let returned):
          let batch = try BatchAttempt(returned.batch)
          assembly.drop(batch)
          if coordinator.state.withLock({ $0.ledger.remove(batch, of: id) }) {
            coordinator.giveBack([ReturnedBatch(batch: batch, cause: BatchReturn(returned))])
          }
        case .drain:
          hasDrained = true
          coordinator.state.withLock { $0.ledger.drain(id) }
        case .hello, nil:
          throw RPCError(.invalidArgument, "a signer says hello once, and no message is empty")
        }
      }
    }
  }

  private func touch(_ batch: BatchAttempt, _ id: WorkLedger.SessionID) -> Bool {
    coordinator.state.withLock { $0.ledger.progress(batch, of: id, now: coordinator.clock.now) }
  }

  /// Stores a result and tells the signer what became of it.
  private func commit(_ signed: SignedBatch, _ session: SignerSession, _ id: WorkLedger.SessionID) async throws {
    let outcome = await coordinator.commits.commit(signed)
    let isIdle = coordinator.state.withLock { state in
      _ = state.ledger.remove(signed.batch, of: id)
      return state.ledger.batchCount == 0
    }
    if isIdle { coordinator.endBell.ring() }
    let ref = signed.batch.message
    switch outcome {
    case .committed(let inserted, let alreadySigned):
      coordinator.observer.count("chancery_signatures_stored_total", by: Double(inserted))
      coordinator.observer.count("chancery_records_already_signed_total", by: Double(alreadySigned))
      coordinator.observer.count("chancery_records_failed_total", by: Double(signed.failures.count + signed.missing))
      coordinator.observer.count("chancery_batches_committed_total")
      coordinator.observer.count(
        "chancery_job_signatures_total", ["job": signed.batch.jobID.description], by: Double(inserted))
      coordinator.observer.count(
        "chancery_key_signatures_total", ["key": signed.keyID.description], by: Double(inserted))
      coordinator.observer.event(.debug, "batch.committed", "\(inserted) signatures are stored", signed.attributes)
      try await session.send(
        .committed(.init(batch: ref, inserted: UInt32(inserted), alreadySigned: UInt32(alreadySigned))))
    case .refused(let refusal):
      coordinator.observer.count("chancery_batches_refused_total", ["reason": refusal.rawValue], by: 1)
      coordinator.observer.event(.warning, "batch.refused", refusal.explanation, signed.attributes)
      // A batch that is still leased at this attempt is given out again; any other is somebody else's.
      coordinator.giveBack([ReturnedBatch(batch: signed.batch, cause: refusal.cause)])
      try await session.send(
        .refused(.init(batch: ref, reason: refusal.message, message: refusal.explanation)))
    case nil:
      throw RPCError(.unavailable, "the coordinator stopped before \(signed.batch) was stored")
    }
  }
}

extension SignedBatch {
  /// What events about the result say of it.
  fileprivate var attributes: [String: String] {
    batch.attributes.merging(
      [
        "key": keyID.description, "epoch": epoch.description, "lease": leaseID.description,
        "signer": signer.description,
      ]
    ) { $1 }
  }
}

extension BatchReturn {
  init(_ message: ChanceryV1.BatchReturned) {
    switch message.reason {
    case .draining: self = .drained
    case .noKey, .leaseLost: self = .keyUnavailable
    case .unspecified, .error, .unrecognized: self = .failed(reason: message.message)
    }
  }
}

extension CommitRefusal {
  /// For people.
  var explanation: String {
    switch self {
    case .staleAttempt: "the batch was taken back from this signer, or its job has ended"
    case .staleLease: "the key has been leased to another signer since"
    case .keyDisabled: "the key was disabled"
    case .wrongAlgorithm: "the key is of another algorithm than the job, or the signatures are of another form"
    case .wrongHolder: "the lease of the key belongs to another signer"
    case .wrongRecords: "the result does not have exactly the records of the batch"
    }
  }

  /// What giving the batch back costs it.
  var cause: BatchReturn {
    switch self {
    case .staleAttempt, .staleLease, .keyDisabled: .keyUnavailable
    case .wrongAlgorithm, .wrongHolder, .wrongRecords: .failed(reason: explanation)
    }
  }

  var message: ChanceryV1.RefusalReason {
    switch self {
    case .staleAttempt: .staleAttempt
    case .staleLease: .staleLease
    case .keyDisabled: .keyDisabled
    case .wrongAlgorithm: .wrongAlgorithm
    case .wrongHolder: .wrongHolder
    case .wrongRecords: .wrongRecords
    }
  }
}
