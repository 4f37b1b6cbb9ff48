internal import Glibc
internal import Synchronization

/// One thread of a ``SigningLimit``.
final class LimitWorker: @unchecked Sendable {
  // Unchecked: the thread that runs the worker is the only one to touch it between pthread_create and pthread_join.
  private var signer: RawSigner
  private let extent: SigningLimit.Extent
  private var outcome: Result<Run, SigningError>?

  /// What one thread did.
  struct Run {
    let start: ContinuousClock.Instant
    let end: ContinuousClock.Instant
    let signatures: Int
  }

  init(_ signer: consuming RawSigner, _ extent: SigningLimit.Extent) {
    self.signer = signer
    self.extent = extent
  }

  /// Starts a thread for each worker, lets them go when all exist, and waits for all.
  static func runTogether(_ workers: [LimitWorker]) throws(SigningError) -> [Run] {
    let gate = Gate()
    // The gate is locked while threads are started; each waits for it and then learns whether to run.
    let (threads, failure) = gate.mayRun.withLock { mayRun in
      var threads: [pthread_t] = []
      for worker in workers {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Argument(worker, gate))
        let result = pthread_create(&thread, nil, limitWorkerMain, argument.toOpaque())
        guard result == 0 else {
          argument.release()
          return (threads, result)
        }
        threads.append(thread)
      }
      mayRun = true
      return (threads, CInt(0))
    }
    for thread in threads { pthread_join(thread, nil) }
    guard failure == 0 else {
      throw SigningError(
        .resourceExhausted, "cannot start \(workers.count) threads: \(String(cString: strerror(failure))); use fewer")
    }
    var runs: [Run] = []
    for worker in workers {
      guard let outcome = worker.outcome else { preconditionFailure("a thread that has ended left its outcome") }
      runs.append(try outcome.get())
    }
    return runs
  }

  fileprivate func run() {
    do throws(SigningError) {
      // The first signature of a thread also seeds OpenSSL's random generator for it.
      try signer.sign(1)
      let start = ContinuousClock.now
      var signatures = 0
      while !isDone(signatures, since: start) {
        let group = groupSize(after: signatures)
        try signer.sign(group)
        signatures += group
      }
      outcome = .success(Run(start: start, end: .now, signatures: signatures))
    } catch {
      outcome = .failure(error)
    }
  }

  private func isDone(_ signatures: Int, since start: ContinuousClock.Instant) -> Bool {
    switch extent {
    case .duration(let duration): start.duration(to: .now) >= duration
    case .signaturesPerThread(let limit): signatures >= limit
    }
  }

  private func groupSize(after signatures: Int) -> Int {
    switch extent {
    case .duration: SigningLimit.groupSize
    case .signaturesPerThread(let limit): min(SigningLimit.groupSize, limit - signatures)
    }
  }
}

/// Holds the threads back until all have been started.
private final class Gate: Sendable {
  let mayRun = Mutex(false)
}

/// What a thread is given: a C function takes one pointer.
private final class Argument: Sendable {
  let worker: LimitWorker
  let gate: Gate

  init(_ worker: LimitWorker, _ gate: Gate) {
    self.worker = worker
    self.gate = gate
  }
}

private func limitWorkerMain(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let raw else { preconditionFailure("the thread was started with an argument") }
  let argument = Unmanaged<Argument>.fromOpaque(raw).takeRetainedValue()
  if argument.gate.mayRun.withLock({ $0 }) { argument.worker.run() }
  return nil
}
