/// Checks what is stored against what was promised.
public protocol AuditStore: Sendable {
  /// Checks every invariant that can be checked by looking at what is stored, all on one snapshot.
  func audit() async throws(StorageError) -> AuditReport
}

/// What an audit found.
public struct AuditReport: Sendable, Hashable {
  /// A promise, by its number in `docs/guarantees.md`.
  public enum Invariant: Int, Sendable, Hashable, CaseIterable {
    /// Every record of an ended job is signed or failed.
    case nothingLost = 1
    /// At most one signature per record.
    case signedOnce = 2
    /// Every signature verifies with the key named.
    case signaturesVerify = 3
    /// No key was used under two leases at a time.
    case keyExclusive = 4
    /// One key signed the whole batch.
    case oneKeyPerBatch = 5
    /// Every grant took the least recently used free key.
    case leastRecentlyUsed = 6
    /// The counts of a job agree with what is stored.
    case countsAgree = 7
    /// What was signed is still signed.
    case signedStays = 8
    /// The batch size of a job never changed.
    case batchSizeFixed = 9
  }

  /// What was found about one invariant.
  public struct Finding: Sendable, Hashable {
    /// Which promise.
    public var invariant: Invariant
    /// How many things were checked: signatures, leases, batches or jobs.
    public var checked: Int64
    /// How many broke the promise.
    public var violations: Int64
    /// How many could not be decided, because a crash lost part of the trail.
    public var undecidable: Int64
    /// Some of the violations, for people: at most `maximumExamples`.
    public var examples: [String]

    /// How many examples a finding has at most.
    public static let maximumExamples = 10

    /// Makes a finding.
    public init(
      invariant: Invariant, checked: Int64, violations: Int64, undecidable: Int64 = 0, examples: [String] = []
    ) {
      self.invariant = invariant
      self.checked = checked
      self.violations = violations
      self.undecidable = undecidable
      self.examples = examples
    }
  }

  /// In the order of the invariants.
  public var findings: [Finding]

  /// Makes a report.
  public init(findings: [Finding]) { self.findings = findings }

  /// Violations of all invariants.
  public var violations: Int64 { findings.reduce(0) { $0 + $1.violations } }

  /// Violations of one invariant.
  public func violations(of invariant: Invariant) -> Int64 {
    findings.filter { $0.invariant == invariant }.reduce(0) { $0 + $1.violations }
  }
}
