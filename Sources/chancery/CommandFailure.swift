import ArgumentParser
import Foundation
import RPC
import RPCTransport
import ServiceHost
import Signing
import Storage

extension ExitCode {
  /// A server cannot be reached, or failed.
  static let server = ExitCode(2)
  /// A signature does not verify, or an invariant is broken.
  static let verification = ExitCode(3)
  /// Some records cannot be signed.
  static let someFailed = ExitCode(4)
  /// Time ran out.
  static let timeout = ExitCode(5)
  /// Ctrl-C.
  static let interrupted = ExitCode(130)
}

/// Why a command or a service ends without success: for people, for scripts, and for the shell.
struct CommandFailure: ExitingError, CustomStringConvertible {
  /// A documented code, such as `UNAVAILABLE` or `schema_mismatch`.
  var code: String
  /// What was wrong, with the value.
  var message: String
  /// Whether the same command may succeed later.
  var isRetryable = false
  /// What to do about it.
  var hint: String?
  /// What the shell sees.
  var exitCode = ExitCode.failure

  /// Whether errors are printed as JSON: whether the command was asked for JSON, even if its arguments are wrong.
  static let printsJSON = CommandLine.values(of: "output", short: "o").contains { ["json", "jsonl"].contains($0) }

  var exitStatus: ExitStatus { ExitStatus(rawValue: exitCode.rawValue) }
  var description: String { hint.map { "\(message) (\($0))" } ?? message }

  /// Prints the failure to stderr.
  func report() {
    if Self.printsJSON {
      let error = Printed(code: code, message: message, retryable: isRetryable, hint: hint)
      StandardError.write(JSONText.line(error))
    } else {
      let isColored = ColorMode.given.colors(STDERR_FILENO)
      func label(_ word: String, _ code: String) -> String { isColored ? word.painted(code) : word }
      StandardError.write("\(label("error:", "1;31")) \(message.printableLines)\n")
      if let hint { StandardError.write("\(label("hint:", "36"))  \(hint.printableLines)\n") }
    }
  }

  private struct Printed: Encodable {
    var code: String
    var message: String
    var retryable: Bool
    var hint: String?
  }
}

extension CommandFailure {
  /// A call that failed. `server` is what was called, for the hint.
  init(_ error: RPCError, calling server: String) {
    self.init(code: error.code.description, message: error.message, isRetryable: error.isRetryable)
    switch error.code {
    case .unavailable:
      exitCode = .server
      hint = "is \(server) running ('chancery dev' starts a cluster), and does it have TLS, as this command then must?"
    case .deadlineExceeded: exitCode = .timeout
    case .cancelled: exitCode = .interrupted
    case .internal, .unknown, .dataLoss, .unimplemented: exitCode = .server
    default: break
    }
  }

  init(_ error: StorageError) {
    self.init(code: error.code.rawValue, message: error.message, isRetryable: error.isRetryable)
    if error.code == .unavailable || error.code == .outcomeUnknown { exitCode = .server }
  }

  init(_ error: SigningError) {
    self.init(code: error.code.rawValue, message: error.message)
    if error.code == .passphraseRequired { hint = "put it into a file and name that with --passphrase-file" }
  }

  /// A file or directory that cannot be used, in the words of the system.
  init(code: String, path: String, cannotBe verb: String, _ error: any Error, hint: String? = nil) {
    let cause = (error as? CocoaError)?.underlying as? POSIXError
    let reason = cause.map { String(cString: strerror($0.code.rawValue)) } ?? error.localizedDescription
    self.init(code: code, message: "\(path) cannot be \(verb): \(reason)", hint: hint)
  }

  /// Something in the command line that cannot be.
  static func usage(_ message: String) -> CommandFailure {
    CommandFailure(code: "usage", message: message, hint: "see --help", exitCode: .validationFailure)
  }
}
