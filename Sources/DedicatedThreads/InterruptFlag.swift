import Synchronization

/// Raised by the cancellation of a task to interrupt what its connection's thread waits for.
package final class InterruptFlag: Sendable {
  private let raised = Atomic(false)
  private let thread: DedicatedThread

  package init(thread: DedicatedThread) { self.thread = thread }

  package var isRaised: Bool { raised.load(ordering: .acquiring) }

  package func raise() {
    raised.store(true, ordering: .releasing)
    thread.wake()
  }
}
