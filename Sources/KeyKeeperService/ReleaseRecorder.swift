import Storage
import Synchronization
import Telemetry

/// Writes into the audit trail how leases ended, some time after they did and many at a time.
final class ReleaseRecorder: Sendable {
  private let context: KeeperContext
  private let queue: WorkQueue<LeaseRelease>
  private let isDraining = Atomic(false)

  init(_ context: KeeperContext) {
    self.context = context
    queue = WorkQueue(limit: context.configuration.unrecordedReleases, activity: context.activity)
  }

  func record(_ releases: [LeaseRelease]) {
    let dropped = releases.count { !queue.append($0) }
    if dropped > 0 { lose(dropped, "too many wait to be written") }
  }

  /// From now on, what cannot be written after a few attempts is dropped rather than kept.
  func drain() { isDraining.store(true, ordering: .relaxed) }

  /// Works until the task is cancelled.
  func run() async {
    var failures = 0
    while true {
      var batch = await queue.next(upTo: context.configuration.batch)
      if batch.isEmpty { return }
      if batch.count < context.configuration.batch {
        // Nothing waits for this: a little later it is more.
        try? await context.clock.sleep(for: context.configuration.recordInterval)
        batch += queue.more(upTo: context.configuration.batch - batch.count)
      }
      while true {
        do throws(StorageError) {
          try await context.store.recordReleases(batch)
          failures = 0
          break
        } catch {
          failures += 1
          let mustGiveUp = isDraining.load(ordering: .relaxed) && failures >= context.configuration.attempts
          if Task.isCancelled || mustGiveUp || !error.mayPass {
            lose(batch.count, error.message)
            break
          }
          await context.pause(failures)
        }
      }
      queue.finished(batch.count)
    }
  }

  /// Drops what is left after `run` has ended.
  func stop() {
    let left = queue.close().count
    if left > 0 { lose(left, "the KeyKeeper has stopped") }
  }

  private func lose(_ count: Int, _ reason: String) {
    context.observer.count("chancery_releases_unrecorded_total", by: Double(count))
    context.observer.event(
      .warning, "audit_trail.incomplete",
      "how \(count) leases ended is missing in the audit trail, which cannot decide about some grants: \(reason)", [:])
  }
}
