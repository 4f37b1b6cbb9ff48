/// A step from one version of the schema to the next. Once released it never changes: what is wrong with it is put right
/// by the next one.
struct Migration: Sendable {
  /// Counted from 1 without gaps.
  let version: Int32
  let name: String
  /// Statements that run as one transaction, as the owner of the schema.
  let sql: String

  /// All of them, in order.
  static let all = [
    InitialSchema.migration, SignatureForms.migration, PayloadTypes.migration, AuditLog.migration, JobTraces.migration,
    AuditPlans.migration,
  ]

  /// The version that this program needs.
  static var latest: Int32 { all.last?.version ?? 0 }
}
