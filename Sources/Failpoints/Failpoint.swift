import Glibc
import Synchronization

/// A named step of a service at which a test can have its process end or stop.
///
/// Off unless armed: then passing one costs a look at a flag. A process is armed once, when it starts, by what
/// `CHANCERY_FAILPOINTS` says, and tells on standard error what it is armed with and when it acts.
public enum Failpoint: String, CaseIterable, Sendable {
  /// A signer has a lease, and has signed nothing.
  case signerLeased = "signer.leased"
  /// A signer has signed a batch, and its result is not sent.
  case signerSigned = "signer.signed"
  /// A signer has sent a result, and knows no answer.
  case signerSent = "signer.sent"
  /// A signer knows that its batch is stored, and still holds the key.
  case signerCommitted = "signer.committed"
  /// A coordinator has claimed batches, and given out none of them.
  case coordinatorClaimed = "coordinator.claimed"
  /// A coordinator has results, and has stored nothing of them.
  case coordinatorReceived = "coordinator.received"
  /// A coordinator has stored results, and told nobody.
  case coordinatorStored = "coordinator.stored"
  /// A coordinator has planned batches, and claimed none of them.
  case coordinatorPlanned = "coordinator.planned"
  /// A KeyKeeper's cache has picked keys, and the store has granted none of them.
  case keyKeeperPicked = "keykeeper.picked"
  /// A KeyKeeper's store has granted leases, and no holder knows.
  case keyKeeperGranted = "keykeeper.granted"
  /// A KeyKeeper's store has ended leases, and the cache still counts them.
  case keyKeeperEnded = "keykeeper.ended"
  /// A KeyKeeper's cache has freed keys, and the audit trail does not tell.
  case keyKeeperFreed = "keykeeper.freed"
  /// A KeyKeeper has begun a generation, and the cache is not rebuilt.
  case keyKeeperRebuilding = "keykeeper.rebuilding"
  /// Logger has stored events, and has not said so.
  case loggerStored = "logger.stored"

  /// What happens to the process there.
  public enum Action: String, CaseIterable, Sendable {
    /// It ends as by `kill -9`.
    case kill
    /// It stops as by `kill -STOP`, until something continues it.
    case stop
  }

  /// Called where the step is.
  public func pass() {
    if Self.isArmed.load(ordering: .relaxed) { act() }
  }

  // MARK: - Arming

  /// Arms this process: `NAME=ACTION` or `NAME=ACTION@N` for the Nth pass, with commas between. Throws ``FailpointError`` for
  /// anything else.
  public static func arm(_ text: String) throws(FailpointError) {
    var plans: [Failpoint: Plan] = [:]
    for entry in text.split(separator: ",") {
      let (point, plan) = try parse(entry)
      plans[point] = plan
    }
    let armed = plans
    Self.plans.withLock { $0 = armed }
    isArmed.store(true, ordering: .relaxed)
    say("armed with \(text)")
  }

  private struct Plan {
    var action: Action
    /// How many passes are left, this one included.
    var passes: Int
  }

  private static let isArmed = Atomic(false)
  private static let plans = Mutex<[Failpoint: Plan]>([:])

  private static func parse(_ entry: Substring) throws(FailpointError) -> (Failpoint, Plan) {
    let sides = entry.split(separator: "=", omittingEmptySubsequences: false)
    guard sides.count == 2, let point = Failpoint(rawValue: String(sides[0])) else {
      throw FailpointError("'\(entry)' does not begin with a failpoint: \(names(allCases))")
    }
    let words = sides[1].split(separator: "@", omittingEmptySubsequences: false)
    guard let action = Action(rawValue: String(words[0])) else {
      throw FailpointError("'\(entry)' names no action: \(names(Action.allCases))")
    }
    guard words.count < 3, let passes = words.count == 1 ? 1 : Int(words[1]), passes > 0 else {
      throw FailpointError("'\(entry)' does not end with @N, the number of a pass from 1")
    }
    return (point, Plan(action: action, passes: passes))
  }

  private static func names<Name: RawRepresentable<String>>(_ all: [Name]) -> String {
    all.map(\.rawValue).joined(separator: ", ")
  }

  private func act() {
    let action = Self.plans.withLock { plans -> Action? in
      guard let plan = plans[self] else { return nil }
      plans[self]!.passes -= 1
      guard plan.passes == 1 else { return nil }
      plans[self] = nil
      return plan.action
    }
    guard let action else { return }
    Self.say("\(rawValue): \(action.rawValue)")
    kill(getpid(), action == .kill ? SIGKILL : SIGSTOP)
  }

  /// Written at once and whole, for the process may end right after.
  private static func say(_ text: String) {
    let line = Array("failpoint \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
  }
}

/// What is wrong with a text that should arm failpoints.
public struct FailpointError: Error, CustomStringConvertible {
  /// What is wrong.
  public let description: String

  init(_ description: String) { self.description = description }
}
