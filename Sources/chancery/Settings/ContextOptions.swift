import ArgumentParser

/// Which context a command takes settings from.
struct ContextOptions: ParsableArguments {
  /// Read once: all settings of a command are of one state of the file.
  private static let file = Result { try ContextFile.read() }

  @Option(
    help: "The context to take settings from (CHANCERY_CONTEXT; see 'chancery context').", completion: .contexts)
  var context: String?

  /// The context; nil if none is in use.
  func selected() throws -> NamedContext? { try Self.file.get().context(named: context) }
}

/// The database of a command that reads it itself.
struct DatabaseOptions: ParsableArguments {
  @Option(help: "The database; its owner where the schema is changed (CHANCERY_DATABASE_URL).") var databaseURL: String?

  /// What the setting is, and why; nil if nobody gives it.
  func resolve(_ context: NamedContext?) -> ResolvedSetting? {
    Settings.resolve(.databaseURL, flag: databaseURL, context: context)
  }

  /// The connection string, or a usage error that names the ways to give it.
  func url(_ context: NamedContext?) throws -> String {
    if let url = resolve(context) { return url.value }
    throw CommandFailure.usage("--database-url is needed (or CHANCERY_DATABASE_URL, or a context that has it)")
  }
}
