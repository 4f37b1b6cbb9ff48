public import DedicatedThreads
public import Domain
public import RPC
import Schema
public import Signing
import Synchronization
public import Telemetry
public import TimeAndChance

/// Signs batches: takes them from every coordinator it knows, leases a key for each, signs on a fixed pool of threads,
/// sends the signatures back, and gives the key back when they are stored. It holds no credentials of any database.
public final class Signer: Sendable {
  /// Names this start of the signer; the holder of its leases.
  public let id: SignerID
  let compute: any ComputeExecutor
  let clock: any ServiceClock
  let random: any RandomSource
  let observer: any Observer
  let options: SignerOptions
  let leases: KeyLeases
  let unanswered: UnansweredResults
  private let coordinators: [any RPCChannel]
  /// Opened when the signer is to take no new batches.
  private let drainSignal = Latch()

  /// A signer that does not run yet. The channels must be run by the caller. Throws when the system has no randomness.
  public init(
    coordinators: [any RPCChannel], keyKeeper: any RPCChannel, compute: any ComputeExecutor,
    clock: any ServiceClock, random: any RandomSource, observer: any Observer, options: SignerOptions
  ) throws(SigningError) {
    precondition(!coordinators.isEmpty, "a signer needs a coordinator")
    // 16 bytes always make an id.
    id = SignerID(bytes: random.nextUUID())!
    self.coordinators = coordinators
    self.compute = compute
    self.clock = clock
    self.random = random
    self.observer = observer
    self.options = options
    unanswered = UnansweredResults(limit: options.batches)
    leases = try KeyLeases(
      client: ChanceryV1.Leases.Client(keyKeeper), holder: id, clock: clock, timing: options.timing, observer: observer)
  }

  /// Signs until the task is cancelled, or until what there was at `drain` is finished.
  public func run() async {
    // Who holds a key is told by this id, who reports by a name: this says which is whose.
    observer.gauge("chancery_signer_info", ["signer": id.description], to: 1)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.leases.run() }
      await withTaskGroup(of: Void.self) { sessions in
        for channel in self.coordinators { sessions.addTask { await self.serve(channel) } }
        sessions.addTask { await self.dropOverdueResults() }
        for _ in self.coordinators { await sessions.next() }
        sessions.cancelAll()
      }
      for result in self.unanswered.remove() { self.leases.release(result.lease) }
      self.leases.stop()
      await group.waitForAll()
    }
  }

  /// Takes no new batches; `run` returns when those at hand are finished.
  public func drain() { drainSignal.open() }

  /// Gives up results that no coordinator took in time, and their keys.
  private func dropOverdueResults() async {
    while !Task.isCancelled {
      for result in unanswered.remove(overdueAt: clock.now) { leases.release(result.lease) }
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: options.timing.progressInterval)
    }
  }

  /// Works for one coordinator, again and again.
  private func serve(_ channel: any RPCChannel) async {
    var attempt = 0
    while !Task.isCancelled && !drainSignal.isOpen {
      let started = clock.now
      do {
        try await work(for: ChanceryV1.Batches.Client(channel))
      } catch is CancellationError where drainSignal.isOpen {
        break
      } catch {
        observer.event(.warning, "signer.stream_lost", "\(error)", [:])
      }
      if Task.isCancelled || drainSignal.isOpen { break }
      // A stream that held for a while was no failure to connect.
      attempt = started.duration(to: clock.now) > .seconds(10) ? 0 : attempt + 1
      try? await clock.sleep(for: options.backoff.delay(attempt: attempt, random: random))
    }
  }
}

extension Signer {
  /// One stream to a coordinator. A signer that is stopping waits for what a coordinator has of it, but not for one that it
  /// cannot reach.
  private func work(for client: ChanceryV1.Batches.Client) async throws {
    let session = WorkSession(signer: self, share: coordinators.count, drainSignal: drainSignal)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await session.run(client)
        return true
      }
      group.addTask {
        await self.drainSignal.wait()
        guard session.hasBegun || Task.isCancelled else { throw CancellationError() }
        return false
      }
      defer { group.cancelAll() }
      while let hasEnded = try await group.next(), !hasEnded {}
    }
  }
}
