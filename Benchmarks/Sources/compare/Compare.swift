import ArgumentParser
import Foundation
import Measurement

/// Runs Chancery's benchmark of its calls and those of its peers in turns, and prints how they compare.
@main
struct Compare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare Chancery's calls with grpc-swift-2 and with the least that SwiftNIO takes.",
    discussion: """
      Every round measures each of the three, one after the other and each with a new server, so that what else the machine \
      does meets all of them. Medians of the rounds are printed; a ratio is the median of the rounds' ratios. \
      Example: compare --chancery ../.build/release/chancery -o json
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
  }

  @Option(help: "The chancery program.") var chancery: String
  @Option(parsing: .unconditional, help: "How many rounds.") var rounds = 3
  @Option(name: [.customShort("o"), .long], help: "How to print: table or json.") var output = Format.table

  func validate() throws {
    guard (1...100).contains(rounds) else { throw ValidationError("--rounds \(rounds) is not between 1 and 100") }
  }

  func run() async throws {
    let comparison = Task {
      try await ScratchDirectory.with { scratch in
        let peers = try Peers(chancery: URL(filePath: chancery), scratch: scratch)
        let report = try await peers.compare(rounds: rounds)
        FileHandle.standardOutput.write(Data((output == .json ? report.json : report.text).utf8))
      }
    }
    let interruption = Interruption { comparison.cancel() }
    do {
      try await comparison.value
    } catch {
      guard let signal = interruption.received else { throw error }
      StandardError.write("interrupted; all servers have ended\n")
      // As the shell reports a program that a signal has ended.
      throw ExitCode(128 + signal)
    }
  }
}
