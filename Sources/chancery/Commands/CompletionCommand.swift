import ArgumentParser
import DynamicMessages

struct CompletionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "completion", abstract: "Print a script that completes commands in a shell.",
    discussion: """
      Commands, options and their values, files, the names of contexts, and the methods that can be called. Put the script \
      where the shell finds it, and open a new shell:

      bash: chancery completion bash > ~/.local/share/bash-completion/completions/chancery
      zsh:  chancery completion zsh > _chancery, in a directory of $fpath
      fish: chancery completion fish > ~/.config/fish/completions/chancery.fish

      Example: chancery completion bash > chancery.bash
      """)

  enum Shell: String, ExpressibleByArgument, CaseIterable {
    case bash
    case zsh
    case fish

    fileprivate var generated: CompletionShell {
      switch self {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    }
  }

  @Argument(help: "bash, zsh or fish.") var shell: Shell

  func run() {
    StandardOutput.write(Chancery.completionScript(for: shell.generated))
    StandardOutput.write("\n")
  }
}

extension CompletionKind {
  /// The names of the user's contexts, when a shell asks. A file that cannot be read has none: a shell has no place for
  /// errors, and every command that needs the file says what is wrong with it.
  static let contexts = custom { _, _, _ in ((try? ContextFile.decoded())?.contexts.keys.sorted()) ?? [] }

  /// The methods that this program knows, without their package.
  static let methods = custom { _, _, _ in builtInTypes.methodNames }

  /// What `describe` can describe.
  static let described = custom { _, _, _ in builtInTypes.names }

  private static var builtInTypes: SchemaTypeSet {
    // What this program was compiled with can be read; a test describes all of it.
    guard let types = try? SchemaTypeSet.builtIn else { preconditionFailure("the compiled schema cannot be read") }
    return types
  }
}
