import Synchronization

/// Lets one of several pass.
final class Once: Sendable {
  private let taken = Atomic(false)

  /// True for the first who asks.
  func take() -> Bool { !taken.exchange(true, ordering: .relaxed) }
}
