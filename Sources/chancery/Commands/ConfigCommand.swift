import ArgumentParser
import RPCTransport

struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "See the settings that commands use.", subcommands: [View.self])

  struct View: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what every setting is, and with --show-origin why.",
      discussion: """
        Takes the flags of other commands, to see what they would do. Passwords are not shown. Example: chancery config view \
        --show-origin
        """)

    @Flag(help: "Show where each value comes from: a flag, the environment, the context, or the default.")
    var showOrigin = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let settings = try Setting.allCases.map { setting in
        SettingRow(setting, try resolve(setting), showsOrigin: showOrigin)
      }
      output.print(settings)
    }

    private func resolve(_ setting: Setting) throws -> ResolvedSetting? {
      if setting == .databaseURL {
        return database.resolve(try connection.context.selected())
      }
      return try connection.resolve(setting) ?? ofPrivateCluster(setting)
    }

    /// What `dev` has made for the commands of its user.
    private func ofPrivateCluster(_ setting: Setting) throws -> ResolvedSetting? {
      guard let files = ClusterDescription.running(at: try connection.address(.coordinator))?.tlsFiles else {
        return nil
      }
      switch setting {
      case .tlsCert: return ResolvedSetting(value: files.certificate, origin: .privateCluster)
      case .tlsKey: return ResolvedSetting(value: files.key, origin: .privateCluster)
      case .tlsCa: return ResolvedSetting(value: files.authority, origin: .privateCluster)
      default: return nil
      }
    }
  }
}

/// A setting as `config view` prints it.
private struct SettingRow: TableRow {
  var setting: String
  var value: String?
  var origin: String?

  init(_ setting: Setting, _ resolved: ResolvedSetting?, showsOrigin: Bool) {
    self.setting = setting.rawValue
    value = resolved.map { setting.shown($0.value) }
    origin = showsOrigin ? resolved.map { "\($0.origin)" } ?? "not set" : nil
  }

  static let columns = [TableColumn("SETTING"), TableColumn("VALUE"), TableColumn("ORIGIN")]
  var resourceName: String { "setting/\(setting)" }

  var cells: [String] { [setting, value ?? "", origin ?? ""] }
}
