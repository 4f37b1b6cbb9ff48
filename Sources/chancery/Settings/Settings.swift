import FoundationEssentials

/// Where a setting comes from: its flag, else the environment (`CHANCERY_…`), else, for commands, the context that is in
/// use, else a default. The one place where the environment is read.
enum Settings {
  /// The flag, else the variable, else nil: what services take. An empty variable counts as absent.
  static func value(_ flag: String?, variable: String) -> String? {
    if let flag { return flag }
    guard let value = ProcessInfo.processInfo.environment[variable], !value.isEmpty else { return nil }
    return value
  }

  /// As `value`, or a usage error that names both ways to give it.
  static func required(_ flag: String?, option: String, variable: String) throws -> String {
    if let value = value(flag, variable: variable) { return value }
    throw CommandFailure.usage("--\(option) is needed (or \(variable))")
  }
}

extension Settings {
  /// Added to the environment of a process, this makes it forget the cluster that this one was told of there: to a service of a
  /// private cluster, what its flags do not say is nothing.
  static let withoutCluster: [String: String] = {
    let names = [
      "COORDINATOR", "KEYKEEPER", "LOGGER", "DATABASE_URL", "READ_URL", "REDIS_URL", "KEK_FILE", "TLS_CERT", "TLS_KEY",
      "TLS_CA",
    ]
    return Dictionary(uniqueKeysWithValues: names.map { ("CHANCERY_\($0)", "") })
  }()
}

/// A setting of commands, which a context may hold.
enum Setting: String, CaseIterable, CodingKey {
  case coordinator
  case keykeeper
  case logger
  case tlsCert = "tls_cert"
  case tlsKey = "tls_key"
  case tlsCa = "tls_ca"
  case timeout
  case databaseURL = "database_url"

  /// Its flag, without the dashes.
  var option: String { rawValue.replacing("_", with: "-") }
  /// Its environment variable.
  var variable: String { "CHANCERY_" + rawValue.uppercased() }

  /// Its value when nothing says another; nil is none.
  var standard: String? {
    switch self {
    case .coordinator: "127.0.0.1:7420"
    case .keykeeper: "127.0.0.1:7421"
    case .logger: "127.0.0.1:7422"
    case .timeout: "30"
    case .tlsCert, .tlsKey, .tlsCa, .databaseURL: nil
    }
  }
}

/// What a setting is, and why.
struct ResolvedSetting {
  /// Who said so, from the strongest on.
  enum Origin: Equatable {
    case flag
    case environment(String)
    case context(String)
    /// The cluster that `chancery dev` runs.
    case privateCluster
    case standard
  }

  var value: String
  var origin: Origin
}

extension ResolvedSetting.Origin: CustomStringConvertible {
  var description: String {
    switch self {
    case .flag: "flag"
    case .environment(let variable): "environment \(variable)"
    case .context(let name): "context \(name)"
    case .privateCluster: "chancery dev"
    case .standard: "default"
    }
  }
}

extension Settings {
  /// What a setting is for a command; nil if nobody gives it and it has no default.
  static func resolve(_ setting: Setting, flag: String?, context: NamedContext?) -> ResolvedSetting? {
    if let flag { return ResolvedSetting(value: flag, origin: .flag) }
    if let value = value(nil, variable: setting.variable) {
      return ResolvedSetting(value: value, origin: .environment(setting.variable))
    }
    if let context, let value = context.settings[setting] {
      return ResolvedSetting(value: value, origin: .context(context.name))
    }
    return setting.standard.map { ResolvedSetting(value: $0, origin: .standard) }
  }
}
