import ArgumentParser
import Domain
import FoundationEssentials
import RPC
import Schema
import Signing
import Translation

struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Make, import and look after the keys of the keyring.",
    subcommands: [
      Generate.self, Import.self, List.self, Get.self, Export.self, Disable.self, Enable.self, Retire.self,
    ])
}

extension KeysCommand {
  struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make keys.", discussion: "Example: chancery keys generate --count 100")

    @Option(help: "What they sign with: \(SignatureAlgorithm.allValueStrings.joined(separator: ", ")).")
    var algorithm = SignatureAlgorithm.default
    @Option(parsing: .unconditional, help: "How many, 1 to 10000.") var count = 1
    @Option(help: "A label for people.") var label = ""
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard (1...10_000).contains(count) else { throw ValidationError("--count \(count) is not between 1 and 10000") }
    }

    func run() async throws {
      let keys = try await connection.with(.keykeeper) { channel in
        try await KeyGeneration.run(algorithm, count: count, label: label, on: channel)
      }
      output.print(try keys.map(KeyRow.init))
    }
  }

  struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Add an existing private key.",
      discussion: """
        The key is read from a file, PEM or DER: PKCS#8, SEC 1 or PKCS#1, encrypted or not. It is sealed to KeyKeeper before \
        it leaves this process. Example: chancery keys import invoice-key.pem --passphrase-file phrase.txt
        """)

    @Argument(help: "The file with the private key.", completion: .file()) var file: String
    @Option(help: "A file whose first line is the passphrase of an encrypted key.", completion: .file())
    var passphraseFile: String?
    @Option(help: "A label for people.") var label = ""
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let key = try KeyFileReader.privateKey(file, passphraseFile: passphraseFile)
      let imported = try await connection.with(.keykeeper) { channel in
        try await KeyImport.run(key, label: label, on: channel, options: connection.call)
      }
      output.print(try KeyRow(imported))
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the keys.", discussion: "Example: chancery keys list --algorithm ed25519 -o json")

    @Option(help: "Only keys of this algorithm.") var algorithm: SignatureAlgorithm?
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let keys = try await connection.with(.keykeeper) { channel in
        try await KeyListing.all(algorithm, on: channel, options: connection.call)
      }
      output.print(try keys.map(KeyRow.init))
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one key, or print its public key.",
      discussion: "Example: chancery keys get 17 -o pem > key-17.pem")

    /// As other commands print, and the public key itself.
    enum Format: ExpressibleByArgument {
      case description(OutputFormat)
      /// A SubjectPublicKeyInfo as `openssl pkey -pubin` reads it.
      case pem
      /// The same, binary.
      case der

      init?(argument: String) {
        switch argument {
        case "pem": self = .pem
        case "der": self = .der
        default:
          guard let format = OutputFormat(argument: argument) else { return nil }
          self = .description(format)
        }
      }

      static var allValueStrings: [String] { OutputFormat.allValueStrings + ["pem", "der"] }
      static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
      var defaultValueDescription: String { "table" }
    }

    @Argument(help: "The key's id.") var key: Int64
    @OptionGroup var connection: ConnectionOptions
    @Option(
      name: [.customShort("o"), .long], help: "How to print: \(Format.allValueStrings.joined(separator: ", ")).")
    var output = Format.description(.table)
    @OptionGroup var tables: TableOptions

    func run() async throws {
      let found = try await connection.with(.keykeeper) { channel in
        try await ChanceryV1.Keys.Client(channel).get(.init(keyID: key), options: connection.call)
      }
      switch output {
      case .description(let format):
        var options = OutputOptions()
        (options.output, options.tables) = (format, tables)
        options.print(try KeyRow(found))
      case .pem: StandardOutput.write(try PublicKey(spki: found.publicKeySpki).pem)
      case .der: StandardOutput.write(found.publicKeySpki)
      }
    }
  }

  struct Disable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a key out of use at once.",
      discussion: "What is being signed with it is refused. Example: chancery keys disable 17 --yes")

    @OptionGroup var change: KeyChange

    func run() async throws {
      try await change.run("disable") { try await $0.disable(.init(keyID: $1), options: $2) }
    }
  }

  struct Enable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a disabled key back into use.", discussion: "Example: chancery keys enable 17 --yes")

    @OptionGroup var change: KeyChange

    func run() async throws {
      try await change.run("enable") { try await $0.enable(.init(keyID: $1), options: $2) }
    }
  }

  struct Retire: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a key out of use for good.",
      discussion: "The batch that is being signed with it may end. Example: chancery keys retire 17 --yes")

    @OptionGroup var change: KeyChange

    func run() async throws {
      try await change.run("retire") { try await $0.retire(.init(keyID: $1), options: $2) }
    }
  }
}

/// A change of a key's state, after a question.
struct KeyChange: ParsableArguments {
  @Argument(help: "The key's id.") var key: Int64
  @Flag(help: "Do not ask.") var yes = false
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func run(
    _ verb: String,
    _ call: (ChanceryV1.Keys.Client, Int64, CallOptions) async throws -> ChanceryV1.Key
  ) async throws {
    try Confirmation.ask("\(verb) key \(key)?", isGiven: yes)
    let changed = try await connection.with(.keykeeper) { channel in
      try await call(ChanceryV1.Keys.Client(channel), key, connection.call)
    }
    output.print(try KeyRow(changed))
  }
}

/// Asks before something is done that cannot be undone.
enum Confirmation {
  static func ask(_ question: String, isGiven: Bool) throws {
    if isGiven { return }
    guard StandardError.isTerminal else { throw CommandFailure.usage("add --yes: there is no terminal to ask on") }
    StandardError.write("\(question) [y/N] ")
    guard let answer = readLine(), answer.lowercased() == "y" || answer.lowercased() == "yes" else {
      throw CommandFailure(code: "declined", message: "nothing was changed")
    }
  }
}

/// Making keys with live progress.
enum KeyGeneration {
  static func run(
    _ algorithm: SignatureAlgorithm, count: Int, label: String, on channel: any RPCChannel, isQuiet: Bool = false
  ) async throws -> [ChanceryV1.Key] {
    let progress = ProgressLine("keys", isQuiet: isQuiet)
    defer { progress.finish() }
    let request = ChanceryV1.GenerateKeysRequest(algorithm: algorithm.message, count: UInt32(count), label: label)
    return try await ChanceryV1.Keys.Client(channel).generate(request) { keys in
      var made: [ChanceryV1.Key] = []
      for try await key in keys {
        made.append(key)
        progress.update(UInt64(made.count), of: UInt64(count))
      }
      return made
    }
  }
}

/// Adding a private key, which leaves this process only sealed to KeyKeeper.
enum KeyImport {
  static func run(
    _ key: borrowing PrivateKey, label: String, on channel: any RPCChannel,
    options: CallOptions = CallOptions(timeout: .seconds(30))
  ) async throws -> ChanceryV1.Key {
    let client = ChanceryV1.Keys.Client(channel)
    let importKey = try await client.getImportKey(.init(), options: options)
    let algorithm = key.algorithm
    let sealed: [UInt8]
    do throws(SigningError) {
      sealed = try SealingPublicKey(bytes: importKey.publicKey.span).seal(key, for: .keyImport(algorithm))
    } catch {
      throw CommandFailure(error)
    }
    let request = ChanceryV1.ImportKeyRequest(sealedPkcs8: sealed, label: label, algorithm: algorithm.message)
    return try await client.import(request, options: options)
  }
}

/// All keys, page by page.
enum KeyListing {
  static func all(
    _ algorithm: SignatureAlgorithm?, on channel: any RPCChannel, options: CallOptions
  ) async throws -> [ChanceryV1.Key] {
    let client = ChanceryV1.Keys.Client(channel)
    var keys: [ChanceryV1.Key] = []
    var hasMore = true
    while hasMore {
      let request = ChanceryV1.ListKeysRequest(
        algorithm: algorithm?.message ?? .unspecified, pageSize: 1000, afterKeyID: keys.last?.keyID ?? 0)
      let page = try await client.list(request, options: options)
      keys += page.keys
      hasMore = page.more && !page.keys.isEmpty
    }
    return keys
  }
}

/// A key as commands print it.
struct KeyRow: TableRow {
  var keyID: Int64
  var algorithm: String
  var state: String
  var label: String
  var epoch: Int64
  var holder: String
  var fingerprint: String
  var publicKey: String
  var createdAt: String?

  enum CodingKeys: String, CodingKey {
    case keyID = "key_id"
    case algorithm, state, label, epoch, holder, fingerprint
    case publicKey = "public_key_pem"
    case createdAt = "created_at"
  }

  init(_ key: ChanceryV1.Key) throws {
    keyID = key.keyID
    algorithm = key.algorithm.name
    state = "\(key.state)"
    label = key.label
    epoch = key.epoch
    holder = key.holder
    fingerprint = "SHA256:" + key.fingerprint.hexText
    publicKey = try PublicKey(spki: key.publicKeySpki).pem
    createdAt = Date(microseconds: key.createdAtUs)?.text
  }

  static let columns = [
    TableColumn("KEY", isNumber: true), TableColumn("ALGORITHM"), TableColumn("STATE", isState: true),
    TableColumn("EPOCH", isNumber: true), TableColumn("LABEL", limit: 40), TableColumn("FINGERPRINT", limit: 23),
    TableColumn("HOLDER", isWide: true), TableColumn("CREATED"),
  ]

  var resourceName: String { "key/\(keyID)" }

  var cells: [String] {
    [
      String(keyID), algorithm, state, String(epoch), label, fingerprint, holder, createdAt ?? "",
    ]
  }
}

extension PublicKey {
  /// The public key of a message; what KeyKeeper sends is always one.
  init(spki: [UInt8]) throws {
    do {
      try self.init(der: spki.span)
    } catch {
      throw CommandFailure(error)
    }
  }
}

/// Reading private keys from files.
enum KeyFileReader {
  static func privateKey(_ path: String, passphraseFile: String?) throws -> PrivateKey {
    var passphrase: [UInt8]?
    if let passphraseFile {
      passphrase = Array(try bytes(passphraseFile).prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
    }
    let file = try bytes(path)
    do {
      if let passphrase { return try PrivateKey(importing: file.span, passphrase: passphrase.span) }
      return try PrivateKey(importing: file.span)
    } catch {
      var failure = CommandFailure(error)
      failure.message = "\(path): \(failure.message)"
      throw failure
    }
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    do {
      return [UInt8](try Data(contentsOf: URL(filePath: path)))
    } catch {
      throw CommandFailure(code: "unreadable_file", path: path, cannotBe: "read", error, hint: "check the path")
    }
  }
}
