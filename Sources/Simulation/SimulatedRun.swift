import Domain
public import Storage
import Synchronization
import Telemetry
import TimeAndChance

/// One seed: a cluster signs records while faults come over it; when they have stopped, the job must end in bounded time, and
/// all that was promised must hold, then and at every look before.
public struct SimulatedRun: Sendable {
  /// How large it is.
  public struct Size: Sendable {
    /// The shape of the cluster.
    public var shape = SimulatedCluster.Shape()
    /// How many records are signed.
    public var records = 400
    /// Records per batch.
    public var batchSize = 10
    /// How many keys there are.
    public var keys = 5
    /// How long faults come.
    public var faultTime: Duration = .seconds(40)
    /// How long the job may take after that.
    public var healingTime: Duration = .seconds(180)

    /// The defaults: two coordinators, two KeyKeepers, three signers.
    public init() {
      shape.coordinators = 2
      shape.keyKeepers = 2
      shape.signers = 3
    }
  }

  /// What came of a seed.
  public struct Outcome: Sendable {
    /// What happened.
    public var scenario: Scenario
    /// What did not hold; empty if all is well.
    public var violations: [String] = []
    /// How often each fault came.
    public var faults: [Fault: Int] = [:]
    /// How many things happened: deliveries, faults and events.
    public var steps = 0
    /// How long it took in simulated time.
    public var elapsed: Duration = .zero
    /// A hash of everything that happened: the same for the same seed.
    public var traceHash: UInt64 = 0
    /// The last events, when something did not hold.
    public var trace: [String] = []
  }

  private let size: Size
  private let sabotage: Sabotage?

  /// Runs of this size, of code that is broken on purpose if `sabotage` is given.
  public init(size: Size = Size(), sabotage: Sabotage? = nil) {
    self.size = size
    self.sabotage = sabotage
  }

  /// Runs the scenario that a seed chooses, on the calling thread.
  public func run(seed: UInt64) -> Outcome { run(Scenario(seed: seed, size: size)) }

  /// Runs a scenario on the calling thread.
  public func run(_ scenario: Scenario) -> Outcome {
    let world = World(seed: scenario.seed)
    let chronicle = Chronicle(clock: world.clock)
    let network = FaultyNetwork(clock: world.clock, random: world.random) { chronicle.add($0) }
    let database = FaultyDatabase(clock: world.clock, random: world.random) { chronicle.add($0) }
    var outcome = Outcome(scenario: scenario)
    do {
      let cluster = try SimulatedCluster(
        world: world, shape: size.shape, observer: chronicle, sabotage: sabotage, fate: network.fate,
        storeFate: database.fate)
      let storm = Storm(
        cluster: cluster, network: network, database: database, world: world, chronicle: chronicle, size: size,
        scenario: scenario)
      do {
        outcome.violations = try world.run(
          timeLimit: size.healingTime + (scenario.faults.last.map { $0.at + $0.duration } ?? .zero) + .seconds(600)
        ) {
          try await cluster.run { coordinator, keyKeeper in try await storm.play(coordinator, keyKeeper) }
        }
      } catch {
        outcome.violations = ["the simulation did not end: \(error)"]
      }
      outcome.faults = storm.faults
    } catch {
      outcome.violations = ["the cluster cannot be made: \(error)"]
    }
    outcome.steps = chronicle.count
    outcome.elapsed = world.clock.elapsed
    outcome.traceHash = chronicle.hash
    if !outcome.violations.isEmpty { outcome.trace = chronicle.last }
    return outcome
  }
}

/// What happened in a run, as a hash and the last of it.
final class Chronicle: Observer {
  private struct State {
    var count = 0
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var last: [String] = []
    var stored: [SigningProof] = []
    var refused: [SigningProof] = []
  }

  private static let kept = 400
  private let clock: any ServiceClock
  private let start: ContinuousClock.Instant
  private let state = Mutex(State())

  init(clock: any ServiceClock) {
    self.clock = clock
    start = clock.now
  }

  var count: Int { state.withLock { $0.count } }
  var hash: UInt64 { state.withLock { $0.hash } }
  var last: [String] { state.withLock { Array($0.last.suffix(Self.kept)) } }

  /// What signers were told of their results.
  var answers: (stored: [SigningProof], refused: [SigningProof]) { state.withLock { ($0.stored, $0.refused) } }

  func add(_ line: String) {
    let text = "\(start.duration(to: clock.now).inSeconds) \(line)"
    state.withLock { state in
      state.count += 1
      for byte in text.utf8 { state.hash = (state.hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      state.last.append(text)
      if state.last.count > 2 * Self.kept { state.last.removeFirst(Self.kept) }
    }
  }

  func count(_ name: MetricName, _ labels: MetricLabels, by amount: Double) {}
  func gauge(_ name: MetricName, _ labels: MetricLabels, to value: Double) {}
  func record(_ name: MetricName, _ labels: MetricLabels, times: [Duration]) {}
  func event(_ level: EventSeverity, _ name: String, _ message: String, _ attributes: [String: String]) {
    // Not the attributes: they are in no order.
    add("\(level) \(name)")
    guard name == "result.stored" || name == "result.refused", let proof = SigningProof(attributes) else { return }
    state.withLock { if name == "result.stored" { $0.stored.append(proof) } else { $0.refused.append(proof) } }
  }
}

extension SigningProof {
  /// As a signer's events say it.
  fileprivate init?(_ attributes: [String: String]) {
    guard let job = attributes["job"].flatMap({ JobID($0) }), let seq = attributes["batch"].flatMap({ Int32($0) }),
      let attempt = attributes["attempt"].flatMap({ Int32($0) }), let key = attributes["key"].flatMap({ Int64($0) }),
      let lease = attributes["lease"].flatMap({ LeaseID($0) })
    else { return nil }
    self.init(
      batch: BatchAttempt(jobID: job, seq: seq, attempt: attempt), keyID: KeyID(rawValue: key), leaseID: lease)
  }
}
