import ArgumentParser

struct ContextCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "context", abstract: "Keep the settings of several clusters, and choose among them.",
    discussion: """
      A setting is taken from its flag, else from its environment variable, else from the context, else it has its default. \
      Services do not look at contexts.
      """,
    subcommands: [List.self, Show.self, Use.self, Set.self, Delete.self])
}

extension ContextCommand {
  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the contexts.", discussion: "Example: chancery context list")

    @OptionGroup var output: OutputOptions

    func run() throws {
      let file = try ContextFile.read()
      output.print(
        file.contexts.sorted { $0.key < $1.key }.map { name, settings in
          ContextRow(NamedContext(name: name, settings: settings), isCurrent: name == file.current)
        })
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one context.", discussion: "Without its passwords. Example: chancery context show production")

    @Argument(help: "Its name; the one in use by default.", completion: .contexts) var name: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
      let file = try ContextFile.read()
      guard let context = try file.context(named: name) else {
        throw CommandFailure.usage("no context is in use: name one, or choose one with 'chancery context use'")
      }
      output.print(ContextRow(context, isCurrent: context.name == file.current))
    }
  }

  struct Use: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take settings from this context from now on.", discussion: "Example: chancery context use production")

    @Argument(help: "Its name.", completion: .contexts) var name: String

    func run() throws {
      var file = try ContextFile.read()
      file.current = try file.context(named: name)?.name
      try file.write()
      StandardError.write("commands now take settings from context \(name)\n")
    }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a context, or change some of its settings.",
      discussion: """
        An empty value takes a setting out. The first context that is made is in use at once. Example: chancery context set \
        production --coordinator coordinator.example:7420 --tls-cert /etc/chancery/tls.crt --tls-key /etc/chancery/tls.key \
        --tls-ca /etc/chancery/ca.crt
        """)

    @Argument(help: "Its name: letters, digits, '-', '_' and '.'.", completion: .contexts) var name: String
    @Option(help: "Coordinator's address.") var coordinator: String?
    @Option(help: "KeyKeeper's address.") var keykeeper: String?
    @Option(help: "Logger's address.") var logger: String?
    @Option(help: "Certificate in PEM form.", completion: .file()) var tlsCert: String?
    @Option(help: "Private key of the certificate.", completion: .file()) var tlsKey: String?
    @Option(help: "Certificates of the authorities that are trusted.", completion: .file()) var tlsCa: String?
    @Option(help: "Seconds after which a call fails.") var timeout: String?
    @Option(help: "The database, for 'audit' and 'db'. Better without a password: libpq also looks into ~/.pgpass.")
    var databaseURL: String?

    func run() throws {
      guard name.wholeMatch(of: /[A-Za-z0-9._-]{1,64}/) != nil else {
        throw CommandFailure.usage("'\(name)' cannot name a context: use up to 64 letters, digits, '-', '_' and '.'")
      }
      let given: [(Setting, String?)] = [
        (.coordinator, coordinator), (.keykeeper, keykeeper), (.logger, logger), (.tlsCert, tlsCert),
        (.tlsKey, tlsKey), (.tlsCa, tlsCa), (.timeout, timeout), (.databaseURL, databaseURL),
      ]
      guard given.contains(where: { $0.1 != nil }) else {
        throw CommandFailure.usage("nothing is set: give at least one setting, such as --coordinator HOST:PORT")
      }
      var file = try ContextFile.read()
      var settings = file.contexts[name] ?? [:]
      for case (let setting, let value?) in given {
        if !value.isEmpty { try setting.check(value) }
        settings[setting] = value.isEmpty ? nil : value
      }
      file.contexts[name] = settings
      file.current = file.current ?? name
      try file.write()
      StandardError.write("context \(name) is in \(ContextFile.path)\n")
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove a context.", discussion: "Example: chancery context delete production --yes")

    @Argument(help: "Its name.", completion: .contexts) var name: String
    @Flag(help: "Do not ask.") var yes = false

    func run() throws {
      var file = try ContextFile.read()
      _ = try file.context(named: name)
      try Confirmation.ask("delete context \(name)?", isGiven: yes)
      file.contexts[name] = nil
      if file.current == name { file.current = nil }
      try file.write()
      StandardError.write("context \(name) is gone\n")
    }
  }
}

/// A context as commands print it.
private struct ContextRow: TableRow {
  var name: String
  var isCurrent: Bool
  /// By flag; without passwords.
  var settings: [String: String]

  enum CodingKeys: String, CodingKey {
    case name
    case isCurrent = "current"
    case settings
  }

  init(_ context: NamedContext, isCurrent: Bool) {
    name = context.name
    self.isCurrent = isCurrent
    settings = Dictionary(
      uniqueKeysWithValues: context.settings.map { setting, value in (setting.rawValue, setting.shown(value)) })
  }

  static let columns =
    [TableColumn("IN USE"), TableColumn("NAME")]
    + Setting.allCases.map { TableColumn($0.rawValue.replacing("_", with: " ").uppercased()) }

  var resourceName: String { "context/\(name)" }

  var cells: [String] { [isCurrent ? "*" : "", name] + Setting.allCases.map { settings[$0.rawValue] ?? "" } }
}
