import Foundation
import Testing

// Proves that bash, zsh and fish complete commands: each shell itself loads the script that `chancery completion` prints, and
// is asked what it would offer at the end of a line.
@Suite("Shells complete commands")
struct CompletionTests {
  /// A line as far as it is typed, what a shell offers for its last word, and something that it must not offer. FOLDER is
  /// a folder with two files.
  struct Line: Sendable, CustomTestStringConvertible {
    var typed: String
    var offers: [String]
    var not: String
    /// Whether the shell asks the program, with the names of contexts or methods that there are now.
    var asksProgram = false

    var testDescription: String { typed }
  }

  static let lines = [
    Line(typed: "chancery jo", offers: ["jobs"], not: "keys"),
    Line(typed: "chancery jobs w", offers: ["watch"], not: "pause"),
    Line(typed: "chancery keys list --tls-k", offers: ["--tls-key"], not: "--tls-ca"),
    Line(typed: "chancery sign --algorithm e", offers: ["ecdsa-p256", "ed25519"], not: "rsa-pss-2048"),
    Line(typed: "chancery keys list -o js", offers: ["json", "jsonl"], not: "yaml"),
    Line(typed: "chancery keys get 17 -o p", offers: ["pem"], not: "der"),
    Line(typed: "chancery jobs list --context pro", offers: ["production"], not: "staging", asksProgram: true),
    Line(typed: "chancery context use s", offers: ["staging"], not: "production", asksProgram: true),
    Line(typed: "chancery call Jobs/Su", offers: ["Jobs/Submit"], not: "Jobs/Get", asksProgram: true),
    Line(typed: "chancery health key", offers: ["keykeeper"], not: "logger"),
    Line(typed: "chancery keys import FOLDER/inv", offers: ["FOLDER/invoice.pem"], not: "FOLDER/other.pem"),
    Line(typed: "chancery completion f", offers: ["fish"], not: "bash"),
  ]

  /// A user's home, with contexts and files.
  private struct Home {
    let folder: Folder

    init(_ shell: String) async throws {
      folder = try Folder()
      for name in ["invoice.pem", "other.pem"] { _ = try folder.write("", to: name) }
      for name in ["production", "staging"] {
        let made = try await run(Program.chancery, "context", "set", name, "--timeout", "5")
        #expect(made.status == 0, "\(made.errors)")
      }
      let script = try await run(Program.chancery, "completion", shell)
      try #require(script.status == 0 && script.errors.isEmpty, "\(script.errors)")
      _ = try folder.write(script.output, to: shell == "zsh" ? "_chancery" : "script")
    }

    /// Runs a shell that finds the program by its name.
    func run(_ program: String, _ arguments: String...) async throws -> Program.Outcome {
      try await run(program, arguments)
    }

    func run(_ program: String, _ arguments: [String]) async throws -> Program.Outcome {
      let directory = URL(filePath: Program.chancery).deletingLastPathComponent().path
      let path = "\(directory):\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")"
      return try await Program.run(
        program, arguments,
        environment: [
          "PATH": path, "HOME": folder.path, "TERM": "vt100", "CHANCERY_CONFIG": "\(folder.path)/config.json",
          "CHANCERY_CONTEXT": "",
        ])
    }
  }

  @Test(arguments: lines) func bashCompletes(_ line: Line) async throws {
    try await expect(line, in: "bash") { home, typed in
      // As the shell calls what `complete -F` names.
      let ask = """
        source "$1"
        COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<<"$2"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        complete -p chancery >/dev/null || exit 1
        _chancery chancery "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
      return try await home.run("bash", "--norc", "-c", ask, "bash", "\(home.folder.path)/script", typed)
    }
  }

  /// Fish lets a script ask a program only when it has a terminal.
  @Test(arguments: lines.filter { !$0.asksProgram }) func fishCompletes(_ line: Line) async throws {
    try await expect(line, in: "fish") { home, typed in
      let ask = "source \(home.folder.path)/script; complete -C '\(typed)'"
      var outcome = try await home.run("fish", "--no-config", "-c", ask)
      // Behind a tab stands what each is.
      outcome.output = outcome.output.split(separator: "\n").map { $0.prefix { $0 != "\t" } + "\n" }.joined()
      return outcome
    }
  }

  private func expect(
    _ line: Line, in shell: String, _ ask: (Home, String) async throws -> Program.Outcome
  ) async throws {
    let home = try await Home(shell)
    defer { home.folder.remove() }
    let outcome = try await ask(home, line.typed.replacing("FOLDER", with: home.folder.path))
    #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    let offered = outcome.output.split(separator: "\n").map { String($0).replacing(home.folder.path, with: "FOLDER") }
    for word in line.offers { #expect(offered.contains(word), "\(offered)") }
    #expect(!offered.contains(line.not))
  }

  /// Each shell gets a terminal, in which each line is typed, and a tab; what stands there then is printed.
  @Test(arguments: ["zsh", "fish"]) func linesAreCompletedAtATerminal(_ shell: String) async throws {
    let home = try await Home(shell)
    defer { home.folder.remove() }
    let path = home.folder.path
    _ = try home.folder.write(
      """
      PS1=
      fpath=(\(path) $fpath)
      autoload -U compinit; compinit -u -D
      show() { print -r -- "<<$BUFFER>>"; BUFFER= }; zle -N show; bindkey '^T' show
      zle-line-init() { print is-ready }; zle -N zle-line-init
      """, to: ".zshrc")
    let configuration = try home.folder.write(
      """
      source \(path)/script
      function fish_prompt; echo is-ready; end
      function show; echo; echo "<<"(commandline)">>"; commandline ""; end
      bind \\ct show
      """, to: "config.fish")
    let command =
      shell == "zsh" ? "ZDOTDIR=\(path) zsh -d -i" : "fish --no-config --init-command 'source \(configuration)'"
    let ask = """
      zmodload zsh/zpty
      zpty shell "$1"; shift
      zpty -r -m shell said '*is-ready*'
      for line in "$@"; do
        zpty -w -n shell "$line"$'\\t\\x14'
        zpty -r -m shell said '*>>*'
        print -r -- "${${said##*<<}%%>>*}"
      done
      zpty -d shell
      """
    // Of several it types what they have in common.
    let lines = Self.lines.filter { $0.offers.count == 1 }
    let typed = lines.map { $0.typed.replacing("FOLDER", with: path) }
    let completed = try await home.run("zsh", ["-f", "-c", ask, "zsh", command] + typed).output.split(separator: "\n")
    #expect(completed.count == lines.count)
    for (line, completed) in zip(lines, completed) {
      let words = line.typed.split(separator: " ").dropLast() + [Substring(line.offers[0])]
      let expected = words.joined(separator: " ").replacing("FOLDER", with: path)
      #expect(completed.trimmingCharacters(in: .whitespaces) == expected)
    }
  }

  @Test func anUnknownShellIsNamed() async throws {
    let outcome = try await Program.run(Program.chancery, ["completion", "tcsh"])
    #expect(outcome.status == 64 && outcome.output.isEmpty)
    for text in ["tcsh", "bash", "zsh", "fish"] { #expect(outcome.errors.contains(text), "\(outcome.errors)") }
  }
}
