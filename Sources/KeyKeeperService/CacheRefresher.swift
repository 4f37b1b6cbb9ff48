import Domain
import Storage
import Telemetry

/// Tells the cache what the store says of keys that have changed, or about which the cache was wrong.
final class CacheRefresher: Sendable {
  private struct Item: Sendable {
    var keyID: KeyID
    var algorithm: SignatureAlgorithm
    var deadLease: LeaseID?
    var whenDone: @Sendable () -> Void
  }

  private let context: KeeperContext
  private let lines: LineWorkers
  private let queue: WorkQueue<Item>

  init(_ context: KeeperContext, _ lines: LineWorkers) {
    self.context = context
    self.lines = lines
    queue = WorkQueue(limit: 2 * LeaseCacheLimits.keys, activity: context.activity)
  }

  /// Has the key looked up and the cache told, then calls `whenDone`: also when it could not be done, for then the cache will
  /// be rebuilt.
  func refresh(
    _ keyID: KeyID, _ algorithm: SignatureAlgorithm, deadLease: LeaseID? = nil,
    whenDone: @escaping @Sendable () -> Void = {}
  ) {
    let item = Item(keyID: keyID, algorithm: algorithm, deadLease: deadLease, whenDone: whenDone)
    guard !queue.append(item) else { return }
    lines[algorithm].requestRebuild(.isWrong)
    whenDone()
  }

  /// Waits until the cache knows of the keys, or the task is cancelled.
  func refreshAndWait(_ ids: [KeyID], _ algorithm: SignatureAlgorithm) async {
    for id in ids.dropLast() { refresh(id, algorithm) }
    guard let last = ids.last else { return }
    // Keys are looked up in the order in which they were named.
    let reply = Reply<Void>()
    refresh(last, algorithm) { _ = reply.give(()) }
    _ = await reply.wait {}
  }

  /// Works until the task is cancelled.
  func run() async {
    while true {
      let batch = await queue.next(upTo: context.configuration.batch)
      if batch.isEmpty { return }
      for algorithm in SignatureAlgorithm.allCases {
        let items = batch.filter { $0.algorithm == algorithm }
        if !items.isEmpty { await refresh(items, algorithm) }
      }
      for item in batch { item.whenDone() }
      queue.finished(batch.count)
    }
  }

  /// Lets go of what is left after `run` has ended.
  func stop() {
    for item in queue.close() { item.whenDone() }
  }

  private func refresh(_ items: [Item], _ algorithm: SignatureAlgorithm) async {
    do throws(StorageError) {
      let outcome = try await context.trying { () async throws(StorageError) in
        let states = try await context.store.leaseStates(items.map(\.keyID))
        return try await context.cache.update(updates(items, states), algorithm: algorithm)
      }
      switch outcome {
      case .joined(let keys, let decision):
        try await context.trying { () async throws(StorageError) in
          try await context.store.joinGeneration(keys, decision: decision)
        }
      case .known: break
      case .mustRebuild: lines[algorithm].requestRebuild(.isWrong)
      }
    } catch {
      // What could not be told now is found out when the cache is rebuilt.
      lines[algorithm].requestRebuild(.isWrong)
      context.observer.event(
        .warning, "cache.not_updated", error.message,
        [
          "algorithm": algorithm.name, "code": error.code.rawValue, "keys": "\(items.count)",
        ])
    }
  }

  private func updates(_ items: [Item], _ states: [LeasedKeyState]) -> [KeyUpdate] {
    let known = Dictionary(states.map { ($0.keyID, $0) }) { first, _ in first }
    return items.map { item in
      // A key that is not there any more is one that is out of use.
      let state =
        known[item.keyID]?.outliving(context.configuration.expirySlack)
        ?? LeasedKeyState(
          keyID: item.keyID, algorithm: item.algorithm, isActive: false, epoch: Epoch(rawValue: 0), generation: 0,
          leaseID: nil, remaining: .zero)
      return KeyUpdate(state, deadLease: item.deadLease)
    }
  }
}
