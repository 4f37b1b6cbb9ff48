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
    let chore = StoreChore(
      clock: clock, random: random, observer: observer, backoff: options.storeBackoff, failure: "audit.seal_failed",
      failures: "chancery_audit_seal_failures_total")
    await chore.run { () async throws(StorageError) in
      let sealed = try await log.sealAuditLog(maximum: options.auditGroup)
      observer.count("chancery_audit_entries_sealed_total", by: Double(sealed.count))
      // What stands in other places than the database proves later that the log is what it was.
      if sealed.head != told, clock.now >= nextTold {
        observer.event(
          .info, "audit.sealed", "the audit log is sealed up to here",
          ["seq": "\(sealed.head.seq)", "hash": "\(sealed.head.hash)"])
        told = sealed.head
        nextTold = clock.now.advanced(by: options.auditHeadInterval)
      }
      return sealed.count == options.auditGroup ? .zero : options.auditInterval
    }
  }
}
