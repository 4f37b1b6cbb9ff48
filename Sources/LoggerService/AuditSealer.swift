import Storage
import Telemetry
import TimeAndChance

/// Seals the audit log: see docs/audit-log.md. Several may run; each entry is sealed once.
struct AuditSealer: Sendable {
  let log: any AuditLogStore
  let clock: any ServiceClock
  let random: any RandomSource
  let observer: any Observer
  let options: LoggerOptions

  /// Runs until the task is cancelled.
  func run() async {
    var told: AuditLogHead?
    var nextTold = clock.now
    var attempt = 0
    while !Task.isCancelled {
      var pause = options.auditInterval
      do throws(StorageError) {
        let sealed = try await log.sealAuditLog(maximum: options.auditGroup)
        attempt = 0
        observer.count("chancery_audit_entries_sealed_total", by: Double(sealed.count))
        // What stands in other places than the database proves later that the log is what it was.
        if sealed.head != told, clock.now >= nextTold {
          observer.event(
            .info, "audit.sealed", "the audit log is sealed up to here",
            ["seq": "\(sealed.head.seq)", "hash": "\(sealed.head.hash)"])
          told = sealed.head
          nextTold = clock.now.advanced(by: options.auditHeadInterval)
        }
        if sealed.count == options.auditGroup { pause = .zero }
      } catch {
        if Task.isCancelled { return }
        if attempt == 0 { observer.event(.warning, "audit.seal_failed", "trying again: \(error)", [:]) }
        observer.count("chancery_audit_seal_failures_total")
        pause = options.storeBackoff.delay(attempt: attempt, random: random)
        attempt += 1
      }
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: pause)
    }
  }
}
