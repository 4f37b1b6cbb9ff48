import ArgumentParser
import Foundation
import Signing

/// The one executable: every service, the command line, and private clusters to try things in.
@main
struct Chancery: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chancery",
    abstract: "Sign every record of a database exactly once, with a ring of keys that are never used by two at a time.",
    discussion: """
      Try it:          chancery demo
      A cluster:       chancery dev
      Then:            chancery keys generate --count 100
                       chancery records generate --count 100000
                       chancery sign

      Exit codes: 0 ok, 1 failed, 2 a server cannot be reached or failed, 3 a verification or audit failed, 4 some
      records failed, 5 timeout, 64 wrong usage, 130 interrupted.
      """,
    version: Version.text,
    groupedSubcommands: [
      CommandGroup(name: "Try it", subcommands: [DemoCommand.self, DevCommand.self]),
      CommandGroup(name: "Sign", subcommands: [SignCommand.self, JobsCommand.self]),
      CommandGroup(
        name: "Records and keys", subcommands: [RecordsCommand.self, SourcesCommand.self, KeysCommand.self]),
      CommandGroup(
        name: "Prove",
        subcommands: [
          SignaturesCommand.self, VerifyCommand.self, AuditCommand.self, SimulateCommand.self, ChaosCommand.self,
        ]),
      CommandGroup(
        name: "Run",
        subcommands: [
          ServeCommand.self, DatabaseCommand.self, HealthCommand.self, DoctorCommand.self, TopCommand.self,
          LogsCommand.self,
        ]),
      CommandGroup(
        name: "Call", subcommands: [CallCommand.self, ServicesCommand.self, DescribeCommand.self]),
      CommandGroup(name: "Settings", subcommands: [ContextCommand.self, ConfigCommand.self, CompletionCommand.self]),
      CommandGroup(name: "Measure", subcommands: [BenchCommand.self, VersionCommand.self]),
    ])

  static func main() async {
    ProcessHardening.keepOpenSSLToTheEnd()
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let failure as CommandFailure {
      failure.report()
      exit(withError: failure.exitCode)
    } catch is CancellationError {
      exit(withError: ExitCode.interrupted)
    } catch {
      end(with: error)
    }
  }

  /// Ends with what the parser of arguments throws, or with an error that no command foresaw.
  private static func end(with error: any Error) -> Never {
    switch exitCode(for: error) {
    case .validationFailure:
      guard let failure = unknownCommand ?? (CommandFailure.printsJSON ? .usage(message(for: error)) : nil) else {
        exit(withError: error)
      }
      failure.report()
      exit(withError: ExitCode.validationFailure)
    case .success: exit(withError: error)
    default:
      if !(error is ExitCode) { CommandFailure(code: "failed", message: error.localizedDescription).report() }
      exit(withError: exitCode(for: error))
    }
  }

  /// A word that stands where a command should and is none; nil if there is no such word.
  private static var unknownCommand: CommandFailure? {
    var command: any ParsableCommand.Type = Chancery.self
    var path = command._commandName
    for word in CommandLine.arguments.dropFirst() {
      let subcommands = command.configuration.subcommands
      if subcommands.isEmpty || word.hasPrefix("-") || word == "help" { return nil }
      guard let next = subcommands.first(where: { $0._commandName == word }) else {
        let listed = subcommands.filter { $0.configuration.shouldDisplay }
        return .unknown(
          "command", "\(path) \(word)", among: listed.map { "\(path) \($0._commandName)" },
          "'\(path) --help' lists all")
      }
      path += " \(word)"
      command = next
    }
    return nil
  }
}
