import TimeAndChance

/// A fault of a simulated run: when it comes, what it hits, and for how long.
///
/// Written as a line: `4200ms signer_stopped signer-1 for 14000ms`, `900ms partition signer-1 coordinator-2 for 3000ms`,
/// `100ms resets one of 20 for 5000ms`, `100ms slow_network up to 900ms for 5000ms`, `50ms key_disabled key 3 for 800ms`,
/// `2000ms cache_forgets`.
public struct PlannedFault: Sendable, Hashable {
  /// When, from the beginning of the job.
  public var at: Duration
  /// What.
  public var fault: Fault
  /// The processes that it hits, by name.
  public var targets: [String] = []
  /// One of so many calls or deliveries; at most so many milliseconds; or the number of a key.
  public var amount = 0
  /// For how long; zero where it is a matter of a moment.
  public var duration: Duration = .zero
}

extension PlannedFault {
  /// A fault that comes at `at` and is chosen by `random`.
  init(at: Duration, in cluster: SimulatedCluster.Shape, keys: Int, random: any RandomSource) {
    self.at = at
    fault = random.pick(Fault.allCases)
    switch fault.subject {
    case .process(let kind): targets = [random.pick(cluster.processNames.filter { $0.hasPrefix(kind) })]
    case .link:
      let first = random.pick(cluster.processNames)
      targets = [first, random.pick(cluster.processNames.filter { $0 != first })]
    case .oneOf(let range), .upTo(let range): amount = range.lowerBound + random.next(below: range.count)
    case .key: amount = 1 + random.next(below: keys)
    case .nothing: break
    }
    guard let range = fault.durations else { return }
    let chosen = random.duration(from: .milliseconds(range.lowerBound), to: .milliseconds(range.upperBound))
    duration = .milliseconds(chosen.inMilliseconds)
  }
}

extension PlannedFault: CustomStringConvertible {
  /// The line.
  public var description: String {
    var words = ["\(at.inMilliseconds)ms", fault.rawValue] + targets
    switch fault.subject {
    case .oneOf: words.append("one of \(amount)")
    case .upTo: words.append("up to \(amount)ms")
    case .key: words.append("key \(amount)")
    case .process, .link, .nothing: break
    }
    if fault.durations != nil { words.append("for \(duration.inMilliseconds)ms") }
    return words.joined(separator: " ")
  }

  /// Reads a line, of a run of so many keys on such a cluster; throws ``ScenarioError`` for what makes none.
  init(parsing line: String, in cluster: SimulatedCluster.Shape, keys: Int) throws(ScenarioError) {
    var words = line.split(separator: " ").map(String.init)[...]
    func wrong(_ what: String) -> ScenarioError { ScenarioError("'\(line)': \(what)") }
    func number(_ text: String?, _ suffix: String = "", in range: ClosedRange<Int>) throws(ScenarioError) -> Int {
      guard let text, text.hasSuffix(suffix), let number = Int(text.dropLast(suffix.count)), range.contains(number)
      else { throw wrong("'\(text ?? "")' is no number\(suffix.isEmpty ? "" : " of \(suffix)") in \(range)") }
      return number
    }
    func expect(_ expected: String...) throws(ScenarioError) {
      guard words.starts(with: expected) else { throw wrong("'\(expected.joined(separator: " "))' is missing") }
      words.removeFirst(expected.count)
    }
    func name(_ prefix: String = "") throws(ScenarioError) -> String {
      let word = words.popFirst() ?? ""
      guard word.hasPrefix(prefix), cluster.processNames.contains(word) else {
        throw wrong("'\(word)' is no \(prefix)")
      }
      return word
    }
    at = .milliseconds(try number(words.popFirst(), "ms", in: 0...3_600_000))
    let fault = words.popFirst() ?? ""
    guard let known = Fault(rawValue: fault) else {
      throw wrong("'\(fault)' is no fault: \(Fault.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    self.fault = known
    switch known.subject {
    case .process(let kind): targets = [try name(kind)]
    case .link: targets = [try name(), try name()]
    case .oneOf:
      try expect("one", "of")
      amount = try number(words.popFirst(), in: 2...1_000_000)
    case .upTo:
      try expect("up", "to")
      amount = try number(words.popFirst(), "ms", in: 1...60_000)
    case .key:
      try expect("key")
      amount = try number(words.popFirst(), in: 1...keys)
    case .nothing: break
    }
    if known.durations != nil {
      try expect("for")
      duration = .milliseconds(try number(words.popFirst(), "ms", in: 1...600_000))
    }
    if let rest = words.first { throw wrong("'\(rest)' is too much") }
  }
}

/// What a fault is about.
enum FaultSubject {
  /// A process of this kind.
  case process(String)
  /// What passes between two processes.
  case link
  /// One of so many.
  case oneOf(Range<Int>)
  /// At most so many milliseconds.
  case upTo(Range<Int>)
  /// A key.
  case key
  case nothing
}

extension Fault {
  var subject: FaultSubject {
    switch self {
    case .coordinatorKilled, .coordinatorStopped: .process("coordinator")
    case .keyKeeperKilled, .keyKeeperStopped: .process("keykeeper")
    case .signerKilled, .signerStopped: .process("signer")
    case .partition, .oneWayPartition: .link
    case .resets: .oneOf(5..<65)
    case .databaseUnsure: .oneOf(2..<22)
    case .slowNetwork: .upTo(300..<4000)
    case .keyDisabled: .key
    case .cacheForgets, .databaseAway, .jobPaused: .nothing
    }
  }

  /// For how many milliseconds it is chosen to last; nil for a matter of a moment.
  var durations: Range<Int>? {
    switch self {
    case .coordinatorKilled, .keyKeeperKilled, .signerKilled: 50..<6000
    // The ttl of a lease is ten seconds.
    case .coordinatorStopped, .keyKeeperStopped, .signerStopped: 500..<25_000
    case .partition, .oneWayPartition: 500..<15_000
    case .resets, .slowNetwork, .databaseUnsure: 500..<10_000
    case .databaseAway: 200..<12_000
    case .keyDisabled, .jobPaused: 100..<5000
    case .cacheForgets: nil
    }
  }
}
