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
  @OptionGroup var context: ContextOptions

  /// The connection string, or a usage error that names the ways to give it.
  func url() throws -> String {
    if let url = Settings.resolve(.databaseURL, flag: databaseURL, context: try context.selected()) { return url.value }
    throw CommandFailure.usage("--database-url is needed (or CHANCERY_DATABASE_URL, or a context that has it)")
  }
}
