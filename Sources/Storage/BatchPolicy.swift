public import Domain
public import TimeAndChance

/// What becomes of batches that come back unsigned: how often they may, and how long they wait before they are given out
/// again.
public struct BatchPolicy: Sendable {
  /// How often a batch may come back before it counts as failed.
  public var budget: BatchBudget
  /// How long a batch waits that has come back for a fault.
  public var backoff: Backoff

  /// A policy; by default that of `BatchBudget` and `Backoff`.
  public init(budget: BatchBudget = BatchBudget(), backoff: Backoff = Backoff()) {
    self.budget = budget
    self.backoff = backoff
  }

  /// The state of a batch after it has come back, what it has spent, and how long it then waits.
  public func settle(
    _ cause: BatchReturn, _ spent: BatchBudget.Spent, random: any RandomSource
  ) -> (state: BatchState, spent: BatchBudget.Spent, delay: Duration) {
    let settled = budget.settle(cause, spent)
    let delay = settled.backoffAttempt.map { backoff.delay(attempt: $0, random: random) } ?? .zero
    return (settled.state, settled.spent, delay)
  }
}

extension BatchReturn {
  /// What is kept of it in the store, for people; nil if it says nothing.
  package var note: String? {
    switch self {
    case .drained: nil
    case .keyUnavailable: "no key could be leased, or its lease was lost"
    case .signerLost: "its signer vanished or showed no progress"
    case .failed(let reason): String(reason.prefix(RecordFailure.maximumMessageBytes))
    }
  }
}
