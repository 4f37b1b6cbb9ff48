import Synchronization
import TimeAndChance

/// Looks again and again whether what a service needs can be used, so that a probe is answered at once and a hundred probes
/// cost no more than one.
final class ReadinessMonitor: Sendable {
  /// How a check went last.
  enum Outcome: Sendable, Hashable {
    /// It has not been made yet.
    case pending
    case passed
    case failed(String)
  }

  /// The time between two looks.
  static let interval = Duration.seconds(2)
  /// How old an outcome may be: one look may come to nothing, no more.
  static let shelfLife = (interval + ReadinessCheck.timeout) * 2

  private struct State {
    var checks: [ReadinessCheck] = []
    var outcomes: [String: (outcome: Outcome, at: ContinuousClock.Instant)] = [:]
  }

  private let state = Mutex(State())
  private let clock: any ServiceClock

  init(clock: any ServiceClock) { self.clock = clock }

  /// How each check went last, in the order in which they were set.
  var results: [(name: String, outcome: Outcome)] {
    let now = clock.now
    return state.withLock { state in
      state.checks.map { check in
        guard let last = state.outcomes[check.name] else { return (check.name, .pending) }
        // A look that heeds no cancellation must not keep an old answer alive.
        let isFresh = last.at.duration(to: now) <= Self.shelfLife
        return (check.name, isFresh ? last.outcome : .failed("no answer within \(Self.shelfLife)"))
      }
    }
  }

  /// What is looked at.
  var checks: [ReadinessCheck] { state.withLock { $0.checks } }

  /// Sets what to look at, before `run`.
  func set(_ checks: [ReadinessCheck]) { state.withLock { $0.checks = checks } }

  /// Looks until the task is cancelled, at each on its own.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      for check in checks {
        group.addTask {
          while !Task.isCancelled {
            await self.look(at: check)
            // Cut short only by cancellation, which ends the loop.
            try? await self.clock.sleep(for: Self.interval)
          }
        }
      }
    }
  }

  /// Makes a check once.
  func look(at check: ReadinessCheck) async {
    let outcome = Mutex(Outcome.pending)
    let hasEnded = await clock.run(atMost: ReadinessCheck.timeout) {
      do {
        try await check.look()
        outcome.withLock { $0 = .passed }
      } catch {
        outcome.withLock { $0 = .failed("\(error)") }
      }
    }
    let last = hasEnded ? outcome.withLock { $0 } : .failed("no answer within \(ReadinessCheck.timeout)")
    state.withLock { $0.outcomes[check.name] = (last, clock.now) }
  }
}

extension ReadinessMonitor.Outcome {
  /// What is wrong; nil if nothing is.
  var fault: String? {
    switch self {
    case .pending: "not looked at yet"
    case .passed: nil
    case .failed(let reason): reason
    }
  }
}
