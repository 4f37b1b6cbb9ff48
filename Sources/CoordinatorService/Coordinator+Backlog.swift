import Storage
import Telemetry
import TimeAndChance

extension Coordinator {
  /// Tells the observer what there is to do, every few seconds until the task is cancelled: to people, and to whoever decides
  /// how many signers there should be. It is the same for all coordinators of a database. Nothing else depends on it.
  public func watchBacklog() async {
    while !Task.isCancelled {
      do throws(StorageError) {
        let backlog = try await store.backlog()
        observer.gauge("chancery_jobs_running", to: Double(backlog.jobs))
        observer.gauge("chancery_batches_pending", to: Double(backlog.batchesPending))
        observer.gauge("chancery_batches_leased", to: Double(backlog.batchesLeased))
      } catch {
        // Whoever needs the store for more says so; the numbers stay as they were.
        observer.event(.debug, "coordinator.backlog_unknown", error.description, [:])
      }
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: options.backlogInterval)
    }
  }
}
