public import Domain

extension BatchAttempt {
  /// What events about the attempt say of it.
  public var attributes: [String: String] {
    ["job": jobID.description, "batch": String(seq), "attempt": String(attempt)]
  }
}
