import ArgumentParser
import Foundation
import Simulation
import Storage
import Synchronization
import TimeAndChance

/// `chancery simulate`: whole clusters under faults, one for each seed.
struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run whole clusters under faults, in simulated time, and check every promise.",
    discussion: """
      Each seed is a cluster of its own, of the services as they are shipped, on one thread: two coordinators, two KeyKeepers
      and three signers sign records while processes are killed and stopped, the cache forgets, the network is cut, reset and
      slow, keys are disabled and the job is paused. The seed decides everything: a failing one fails again. Exit code 3 if
      a promise was broken.

      Example: chancery simulate --seeds 100
               chancery simulate --from 1234 --seeds 1 --trace --keep late-result.scenario
               chancery simulate --scenario late-result.scenario
      """)

  @Option(parsing: .unconditional, help: "How many seeds.") var seeds = 100
  @Option(parsing: .unconditional, help: "The first seed.") var from: UInt64 = 1
  @Option(parsing: .unconditional, help: "Records for each seed.") var records = 400
  @Option(parsing: .unconditional, help: "Threads (default: one for each core).") var threads: Int?
  @Option(
    help: "Break the store on purpose, to see that it is noticed: \(Sabotage.names).",
    completion: .list(Sabotage.allCases.map(\.rawValue)), transform: Sabotage.init(parsing:))
  var sabotage: Sabotage?
  @Flag(help: "Print the last events of each seed that fails, on standard error.") var trace = false
  @Option(
    help: "Write down in a file what comes over the cluster with the one seed, to be kept or changed.",
    completion: .file())
  var keep: String?
  @Option(help: "Run what such a file says instead of seeds.", completion: .file()) var scenario: String?
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if keep != nil, seeds != 1 { throw ValidationError("--keep takes --seeds 1") }
    guard (1...1_000_000).contains(seeds) else {
      throw ValidationError("--seeds \(seeds) is not between 1 and 1000000")
    }
    guard (1...10_000).contains(records) else {
      throw ValidationError("--records \(records) is not between 1 and 10000")
    }
    if let threads, !(1...64).contains(threads) {
      throw ValidationError("--threads \(threads) is not between 1 and 64")
    }
  }

  func run() async throws {
    let started = ContinuousClock.now
    var size = SimulatedRun.Size()
    size.records = records
    let scenarios = try scenario.map { [try Self.read($0, size)] }
    if let keep { try Self.write(Scenario(seed: from, size: size), to: keep) }
    let crew = SimulationCrew(
      run: SimulatedRun(size: size, sabotage: sabotage), count: scenarios?.count ?? seeds, printsTraces: trace
    ) { [from, size] index in scenarios?[index] ?? Scenario(seed: from &+ UInt64(index), size: size) }
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<min(threads, scenarios?.count ?? seeds) { group.addTask { await crew.work() } }
    }
    var report = crew.report
    report.seconds = (started.duration(to: .now).inSeconds * 10).rounded() / 10
    output.print(report)
    guard let first = report.failures.first else { return }
    throw CommandFailure(
      code: "promise_broken",
      message: "\(report.violations) promises were broken in \(report.failures.count) of \(report.seeds) runs",
      hint: scenario.map { "see how with 'chancery simulate --scenario \($0) --trace'" }
        ?? "see how with 'chancery simulate --from \(first.seed) --seeds 1 --trace', and keep it with --keep",
      exitCode: .verification)
  }

  private static func read(_ path: String, _ size: SimulatedRun.Size) throws -> Scenario {
    let text: String
    do {
      text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
    } catch {
      throw CommandFailure(code: "unreadable_file", path: path, cannotBe: "read", error, hint: "check the path")
    }
    do {
      return try Scenario(parsing: text, size: size)
    } catch {
      throw CommandFailure.usage("\(path): \(error)")
    }
  }

  private static func write(_ scenario: Scenario, to path: String) throws {
    do {
      try Data(scenario.description.utf8).write(to: URL(filePath: path))
    } catch {
      throw CommandFailure(code: "unwritable_file", path: path, cannotBe: "written", error, hint: "check the path")
    }
  }
}

/// Threads that take one run after another.
private final class SimulationCrew: Sendable {
  private let run: SimulatedRun
  private let count: Int
  private let scenario: @Sendable (Int) -> Scenario
  private let printsTraces: Bool
  private let progress = ProgressLine("seeds")
  private let state = Mutex((taken: 0, report: SimulationReport()))

  init(run: SimulatedRun, count: Int, printsTraces: Bool, _ scenario: @escaping @Sendable (Int) -> Scenario) {
    self.run = run
    self.count = count
    self.printsTraces = printsTraces
    self.scenario = scenario
  }

  var report: SimulationReport { state.withLock { $0.report } }

  /// Takes runs until there are none left, on a thread of its own: a simulation blocks from its beginning to its end.
  func work() async {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        while let index = self.next() { self.add(self.run.run(self.scenario(index))) }
        continuation.resume()
      }
    }
  }

  private func next() -> Int? {
    state.withLock { state in
      guard state.taken < count else { return nil }
      defer { state.taken += 1 }
      return state.taken
    }
  }

  private func add(_ outcome: SimulatedRun.Outcome) {
    let done = state.withLock { state in
      state.report.add(outcome)
      return state.report.seeds
    }
    progress.update(UInt64(done), of: UInt64(count))
    if done == count { progress.finish() }
    if printsTraces, !outcome.violations.isEmpty {
      StandardError.write(
        "seed \(outcome.scenario.seed):\n\(outcome.scenario)" + outcome.trace.joined(separator: "\n") + "\n")
    }
  }
}

extension Sabotage {
  fileprivate static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }

  fileprivate init(parsing text: String) throws {
    guard let known = Sabotage(rawValue: text) else {
      throw ValidationError("'\(text)' is not one of \(Self.names)")
    }
    self = known
  }
}

/// What came of all seeds.
private struct SimulationReport: TableRow {
  struct Failure: Encodable {
    var seed: UInt64
    var violations: [String]
  }

  var seeds = 0
  var violations = 0
  var failures: [Failure] = []
  var steps = 0
  var faults: [String: Int] = [:]
  var distinctTraces: Int { hashes.count }
  var simulatedSeconds = 0.0
  var seconds = 0.0
  private var hashes: Set<UInt64> = []

  mutating func add(_ outcome: SimulatedRun.Outcome) {
    seeds += 1
    steps += outcome.steps
    hashes.insert(outcome.traceHash)
    simulatedSeconds += outcome.elapsed.inSeconds
    for (fault, count) in outcome.faults { faults[fault.rawValue, default: 0] += count }
    guard !outcome.violations.isEmpty else { return }
    violations += outcome.violations.count
    failures.append(Failure(seed: outcome.scenario.seed, violations: outcome.violations))
    failures.sort { $0.seed < $1.seed }
  }

  private enum CodingKeys: String, CodingKey {
    case seeds, violations, failures, steps, faults
    case distinctTraces = "distinct_traces"
    case simulatedSeconds = "simulated_seconds"
    case seconds
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(seeds, forKey: .seeds)
    try container.encode(violations, forKey: .violations)
    try container.encode(failures, forKey: .failures)
    try container.encode(steps, forKey: .steps)
    try container.encode(faults, forKey: .faults)
    try container.encode(distinctTraces, forKey: .distinctTraces)
    try container.encode(simulatedSeconds.rounded(), forKey: .simulatedSeconds)
    try container.encode(seconds, forKey: .seconds)
  }

  static let columns = [
    TableColumn("SEEDS"), TableColumn("VIOLATIONS"), TableColumn("STEPS"), TableColumn("DISTINCT TRACES"),
    TableColumn("SIMULATED"), TableColumn("TIME"), TableColumn("FAULTS"), TableColumn("FAILED SEEDS"),
  ]

  var resourceName: String { "simulation/\(seeds)" }

  var cells: [String] {
    let kinds = faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    let failed = failures.prefix(10).map { "\($0.seed) (\($0.violations.first ?? ""))" }.joined(separator: "; ")
    return [
      Int64(seeds).grouped, Int64(violations).grouped, Int64(steps).grouped, Int64(distinctTraces).grouped,
      "\(Int64(simulatedSeconds).grouped) s", "\(seconds.text(digits: 1)) s", kinds, failed,
    ]
  }
}
