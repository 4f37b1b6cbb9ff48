import ArgumentParser
import Domain
import Foundation
import NIOCore
import NIOPosix
import TimeAndChance

/// `chancery chaos`: real clusters under faults, one for each fault.
struct ChaosCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chaos",
    abstract: "Break clusters of real processes in every way that is known, and check every promise.",
    discussion: """
      For each fault a cluster of its own: Postgres, Redis, two coordinators, two KeyKeepers, three signers and Logger as
      processes, with a proxy between every two of them. While a job runs the fault comes; when it is over the job must end.
      Then everything is checked: the audit, every signature, what client, signers and database saw against each other, and
      that no private key is in clear anywhere. A fault that was not felt counts as a failure. Exit code 3 if anything did
      not hold.

      Example: chancery chaos --list
               chancery chaos --fault postgres-failover-synchronous --fault redis-killed
      """)

  @Option(
    help: "A fault to try; give it once for each (default: all).", completion: .list(ChaosFault.all.map(\.name)))
  var fault: [String] = []
  @Flag(help: "Try a few faults of all kinds.") var selection = false
  @Flag(help: "Say what each fault is, and try none.") var list = false
  @Option(parsing: .unconditional, help: "Records to sign under each fault.") var records = 100_000
  @Option(parsing: .unconditional, help: "Faults that are tried at a time.") var parallel = 1
  @Option(help: "Keep what every process has logged, in a folder for each fault in this one.", completion: .directory)
  var logs: String?
  @Flag(help: "Have a private key leak on purpose, to see that it is noticed.") var leakKey = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (1000...1_000_000).contains(records) else {
      throw ValidationError("--records \(records) is not between 1000 and 1000000")
    }
    guard (1...16).contains(parallel) else { throw ValidationError("--parallel \(parallel) is not between 1 and 16") }
    let known = ChaosFault.all.map(\.name)
    for name in fault where !known.contains(name) {
      throw ValidationError("there is no fault '\(name)': \(known.suggestion(for: name))see 'chancery chaos --list'")
    }
  }

  func run() async throws {
    if list { return output.print(ChaosFault.all.map(FaultRow.init)) }
    let started = ContinuousClock.now
    var size = ChaosRun.Size()
    size.records = records
    size.leaksKey = leakKey
    size.logs = logs.map { URL(filePath: $0) }
    let (chosen, skipped) = choose()
    let verdicts = try await attempt(chosen, size)
    let seconds = (started.duration(to: .now).inSeconds * 10).rounded() / 10
    let report = ChaosReport(verdicts, skipped: skipped, records: records, seconds: seconds)
    output.print(
      report, name: "chaos/\(report.violations == 0 ? "holds" : "broken")", text: output.table.text(report.verdicts))
    guard report.violations > 0 else { return }
    let failed = verdicts.filter { !$0.violations.isEmpty }.map(\.fault)
    throw CommandFailure(
      code: "promise_broken",
      message: "\(report.violations) things did not hold, under: \(failed.joined(separator: ", "))",
      exitCode: .verification)
  }

  /// The faults to try, and those that cannot be tried here.
  private func choose() -> (chosen: [ChaosFault], skipped: [String: String]) {
    let wanted =
      !fault.isEmpty
      ? ChaosFault.all.filter { fault.contains($0.name) } : selection ? ChaosFault.selection : ChaosFault.all
    let isRoot = geteuid() == 0
    let impossible = wanted.filter { $0.needsRoot && !isRoot }
    for fault in impossible { StandardError.write("\(fault.name) is not tried: it takes root\n") }
    return (
      wanted.filter { !$0.needsRoot || isRoot },
      Dictionary(uniqueKeysWithValues: impossible.map { ($0.name, "it takes root") })
    )
  }

  private func attempt(_ faults: [ChaosFault], _ size: ChaosRun.Size) async throws -> [ChaosVerdict] {
    let canary = try await Canary.make()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let verdicts = try await withThrowingTaskGroup(of: (Int, ChaosVerdict).self) { tasks in
      var verdicts: [Int: ChaosVerdict] = [:]
      for (index, fault) in faults.enumerated() {
        if index >= parallel, let (done, verdict) = try await tasks.next() { verdicts[done] = verdict }
        tasks.addTask { (index, try await attempt(fault, size, canary, group)) }
      }
      for try await (done, verdict) in tasks { verdicts[done] = verdict }
      return faults.indices.compactMap { verdicts[$0] }
    }
    try await group.shutdownGracefully()
    return verdicts
  }

  private func attempt(
    _ fault: ChaosFault, _ size: ChaosRun.Size, _ canary: Canary, _ group: MultiThreadedEventLoopGroup
  ) async throws(CancellationError) -> ChaosVerdict {
    var verdict = ChaosVerdict(fault: fault.name, layer: fault.layer)
    do {
      verdict = try await ChaosRun.of(fault, size, canary: canary, group)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      verdict.violations = ["it could not be tried: \(error)"]
    }
    let outcome = verdict.violations.isEmpty ? "holds" : "DOES NOT HOLD: \(verdict.violations.joined(separator: "; "))"
    StandardError.write("\(fault.name.padded(to: 40)) \(verdict.seconds.text(digits: 1)) s  \(outcome)\n")
    return verdict
  }
}

/// A fault as `--list` prints it.
private struct FaultRow: TableRow {
  var name: String
  var layer: String
  var about: String

  init(_ fault: ChaosFault) {
    name = fault.name
    layer = fault.layer.rawValue
    about = fault.about
  }

  static let columns = [TableColumn("FAULT"), TableColumn("KIND"), TableColumn("WHAT HAPPENS")]
  var resourceName: String { "fault/\(name)" }

  var cells: [String] { [name, layer, about] }
}
