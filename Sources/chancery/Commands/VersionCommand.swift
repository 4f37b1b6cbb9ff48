import ArgumentParser

/// What this program is.
enum Version {
  /// Semantic version of the whole: services, protocol and command line move together.
  static let number = "0.1.0"
  static let text = "chancery \(number)"
}

struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the version.", discussion: "Example: chancery version -o json")

  @OptionGroup var output: OutputOptions

  func run() {
    output.print(["version": Version.number], name: "version/\(Version.number)", text: Version.text + "\n")
  }
}
