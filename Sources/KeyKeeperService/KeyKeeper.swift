public import DedicatedThreads
import Domain
public import RPC
public import Signing
public import Storage
public import Telemetry
public import TimeAndChance

/// Keeps private keys and leases them to signers: the behaviour behind the services `Keys` and `Leases`.
///
/// Several may serve one store and one cache. A lease is a row of the store; the cache says which key is next and who is.
/// Whatever this KeyKeeper learns of a lease after its caller has gone leads to its release.
///
/// `run` must run, as a child task, as long as the services are served: everything that must not end with the call that began
/// it happens there.
public final class KeyKeeper: Sendable {
  /// What to serve.
  public var services: [any RPCService] { [LeasesService(keeper: self), KeysService(keeper: self)] }

  let context: KeeperContext
  let keyEncryptionKey: KeyEncryptionKey
  let compute: any ComputeExecutor
  let lines: LineWorkers
  let refresher: CacheRefresher
  let releases: ReleaseDesk
  let secrets: WrappedSecrets
  private let grants: GrantDesk
  private let recorder: ReleaseRecorder

  /// - Parameters:
  ///   - store: the keyring and its leases.
  ///   - cache: shared by all KeyKeepers of the store.
  ///   - keyEncryptionKey: the same for all KeyKeepers of the store.
  ///   - compute: where keys are generated and imported.
  ///   - clock: also that of the deadlines of calls.
  ///   - random: for jitter, and for names of leases.
  public init(
    store: any KeyStore, cache: any LeaseCache, keyEncryptionKey: KeyEncryptionKey, compute: any ComputeExecutor,
    clock: any ServiceClock = ContinuousClock(), random: any RandomSource = SystemRandom(),
    observer: any Observer = NoObserver(), configuration: KeyKeeperConfiguration = KeyKeeperConfiguration()
  ) {
    context = KeeperContext(
      store: store, cache: cache, clock: clock, random: random, observer: observer, configuration: configuration,
      activity: Activity())
    self.keyEncryptionKey = keyEncryptionKey
    self.compute = compute
    let name = UniqueID<KeyKeeper>(bytes: random.nextUUID())!
    recorder = ReleaseRecorder(context)
    lines = LineWorkers(keyKeeper: name.description, context, recorder)
    refresher = CacheRefresher(context, lines)
    releases = ReleaseDesk(context, lines, refresher, recorder)
    grants = GrantDesk(context, lines, refresher, releases)
    secrets = WrappedSecrets(context)
  }

  /// How many calls of the store for grants, and for releases, may be under way: one more than one, so that a lone caller
  /// need not wait for the batch before it.
  private static let desks = 2

  /// Works until the task is cancelled; then all calls that wait fail with `UNAVAILABLE`, and so do later ones.
  ///
  /// To lose nothing of the audit trail, `drain` before.
  public func run() async {
    await withDiscardingTaskGroup { group in
      for line in lines.all {
        group.addTask { [grants] in await line.run { grants.take($0) } }
      }
      for _ in 0..<Self.desks {
        group.addTask { [grants] in await grants.run() }
        group.addTask { [releases] in await releases.run() }
      }
      group.addTask { [refresher] in await refresher.run() }
      group.addTask { [recorder] in await recorder.run() }
      group.addTask { [context, lines] in await Reconciler(context: context, lines: lines).run() }
    }
    for line in lines.all { _ = line.refuse(LineWorkers.stopped) }
    grants.stop()
    releases.stop()
    refresher.stop()
    recorder.stop()
  }

  /// Stops leasing: callers that wait get `UNAVAILABLE` at once, and so do later ones. Leases are renewed and released as
  /// before. Returns when everything is stored that was under way, or could not be after a few attempts.
  ///
  /// Call it while `run` runs, before the transport drains, and once more after, for what was released meanwhile.
  public func drain() async {
    for line in lines.all {
      let waiters = line.refuse(LineWorkers.stopped)
      guard !waiters.isEmpty else { continue }
      do throws(StorageError) {
        try await context.cache.leave(waiters, algorithm: line.algorithm)
      } catch {
        // The cache drops them when they do not ask any more.
        context.observer.count("chancery_cache_failures_total", ["algorithm": line.algorithm.name])
      }
    }
    recorder.drain()
    await context.activity.quiet()
  }
}
