import TimeAndChance

/// What can go wrong in a simulated cluster. Each comes again and again, at moments and for times that the seed chooses.
public enum Fault: String, Sendable, Hashable, CaseIterable, Comparable {
  /// kill -9 of a coordinator, which is started again after a while.
  case coordinatorKilled = "coordinator_killed"
  case keyKeeperKilled = "keykeeper_killed"
  case signerKilled = "signer_killed"
  /// SIGSTOP of a process, often for longer than the ttl of a lease, and SIGCONT.
  case coordinatorStopped = "coordinator_stopped"
  case keyKeeperStopped = "keykeeper_stopped"
  case signerStopped = "signer_stopped"
  /// Redis loses its memory.
  case cacheForgets = "cache_forgets"
  /// Nothing is delivered between two processes, one way or both ways.
  case partition
  case oneWayPartition = "one_way_partition"
  /// Connections break now and then.
  case resets
  /// Deliveries take long, so that they overtake each other between connections.
  case slowNetwork = "slow_network"
  /// The database cannot be reached.
  case databaseAway = "database_away"
  /// Connections to the database are lost now and then, before a call is made or after.
  case databaseUnsure = "database_unsure"
  /// A key is disabled while it may be in use, and enabled again.
  case keyDisabled = "key_disabled"
  /// The job is paused and goes on.
  case jobPaused = "job_paused"

  /// By name.
  public static func < (left: Fault, right: Fault) -> Bool { left.rawValue < right.rawValue }
}

extension RandomSource {
  func pick<Element>(_ elements: [Element]) -> Element { elements[next(below: elements.count)] }

  /// A duration on a scale of powers, so that short ones are as likely as long ones.
  func duration(from least: Duration, to most: Duration) -> Duration {
    let span = most.inSeconds / least.inSeconds
    var factor = 1.0
    var power = next(in: 0...1)
    // 2^-10 steps of the scale are fine enough, and need no logarithm.
    var root = span
    for _ in 0..<10 {
      root = root.squareRoot()
      power *= 2
      if power >= 1 {
        factor *= root
        power -= 1
      }
    }
    return least * factor
  }
}
