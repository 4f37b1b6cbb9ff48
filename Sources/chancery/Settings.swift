import FoundationEssentials

/// Where a setting comes from when no flag gives it: the environment (`CHANCERY_…`), then a default. The one place where
/// the environment is read.
enum Settings {
  /// The address of a service when nothing names one.
  static let coordinator = "127.0.0.1:7420"
  static let keykeeper = "127.0.0.1:7421"
  static let logger = "127.0.0.1:7422"

  /// The flag, else the variable, else nil. An empty variable counts as absent.
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
