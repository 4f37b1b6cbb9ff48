import ArgumentParser
import FoundationEssentials
import Glibc
import PostgresDriver
import RPCTransport

/// The settings of one cluster, under a name.
struct NamedContext {
  var name: String
  var settings: [Setting: String]
}

/// The contexts of a user, and which is in use: a file of JSON that the user alone may read.
struct ContextFile {
  /// The name of the context in use; nil for none.
  var current: String?
  /// The settings of each context, by its name.
  var contexts: [String: [Setting: String]] = [:]

  /// Where it is: `CHANCERY_CONFIG`, else `chancery/config.json` in the user's directory for configuration
  /// (https://specifications.freedesktop.org/basedir-spec/).
  static var path: String {
    if let path = Settings.value(nil, variable: "CHANCERY_CONFIG") { return path }
    let home = Settings.value(nil, variable: "HOME") ?? "/"
    return (Settings.value(nil, variable: "XDG_CONFIG_HOME") ?? home + "/.config") + "/chancery/config.json"
  }

  /// The context of this name, else the one that is in use; nil if there is neither.
  func context(named name: String?) throws -> NamedContext? {
    guard let name = name ?? Settings.value(nil, variable: "CHANCERY_CONTEXT") ?? current else { return nil }
    guard let settings = contexts[name] else {
      let known = contexts.keys.sorted().joined(separator: ", ")
      throw CommandFailure(
        code: "unknown_context", message: "there is no context '\(name)' in \(Self.path)",
        hint: contexts.isEmpty
          ? "make it with 'chancery context set \(name) --coordinator HOST:PORT'" : "there are: \(known)",
        exitCode: .validationFailure)
    }
    return NamedContext(name: name, settings: settings)
  }
}

// MARK: - The file

extension ContextFile {
  /// What is in the file; nothing if there is none. Says on standard error if others may read a password in it.
  static func read() throws -> ContextFile {
    let file = try decoded()
    file.warnIfExposed()
    return file
  }

  /// As `read`, without a word.
  static func decoded() throws -> ContextFile {
    let data: Data
    do {
      data = try Data(contentsOf: URL(filePath: path))
    } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
      return ContextFile()
    } catch {
      throw CommandFailure(code: "unreadable_file", path: path, cannotBe: "read", error, hint: "check CHANCERY_CONFIG")
    }
    do {
      return try JSONDecoder().decode(ContextFile.self, from: data)
    } catch {
      throw CommandFailure(
        code: "malformed_context_file", message: "\(path) does not hold contexts: \(Self.reason(error))",
        hint: "mend it, or remove it and make the contexts anew with 'chancery context set'")
    }
  }

  /// Replaces the file as a whole; the user alone may read it.
  func write() throws {
    let url = URL(filePath: Self.path)
    let draft = url.deletingLastPathComponent().appending(path: ".config.json.\(getpid())")
    do {
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      try Data().write(to: draft)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: draft.path)
      try Data(JSONText.document(self).utf8).write(to: draft)
    } catch {
      throw CommandFailure(code: "unwritable_file", path: Self.path, cannotBe: "written", error, hint: "check the path")
    }
    guard rename(draft.path, Self.path) == 0 else {
      throw CommandFailure(
        code: "unwritable_file", message: "\(Self.path) cannot be replaced: \(String(cString: strerror(errno)))",
        hint: "check the path")
    }
  }

  /// Whether a context has a password.
  var holdsPassword: Bool { contexts.values.contains { $0[.databaseURL].map(Setting.holdsPassword) ?? false } }

  /// Whether others than its owner can use the file; nil if there is none.
  static var isOpenToOthers: Bool? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o077 != 0 : nil
  }

  private func warnIfExposed() {
    guard holdsPassword, Self.isOpenToOthers == true else { return }
    StandardError.write("warning: others can read the passwords in \(Self.path): run 'chmod 600 \(Self.path)'\n")
  }

  private static func reason(_ error: any Error) -> String {
    guard case .dataCorrupted(let context)? = error as? DecodingError else { return "\(error)" }
    return context.debugDescription
  }
}

extension ContextFile: Codable {
  private enum CodingKeys: String, CodingKey {
    case current, contexts
  }

  /// A name that is not known beforehand.
  private struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    current = try values.decodeIfPresent(String.self, forKey: .current)
    guard values.contains(.contexts) else { return }
    let named = try values.nestedContainer(keyedBy: Name.self, forKey: .contexts)
    for name in named.allKeys {
      let given = try named.decode([String: String].self, forKey: name)
      var settings: [Setting: String] = [:]
      for (key, value) in given {
        guard let setting = Setting(rawValue: key) else {
          throw DecodingError.dataCorrupted(
            .init(codingPath: [name], debugDescription: "context '\(name.stringValue)' has an unknown setting '\(key)'")
          )
        }
        settings[setting] = value
      }
      contexts[name.stringValue] = settings
    }
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(current, forKey: .current)
    var named = values.nestedContainer(keyedBy: Name.self, forKey: .contexts)
    for (name, settings) in contexts {
      let given = Dictionary(uniqueKeysWithValues: settings.map { ($0.key.rawValue, $0.value) })
      try named.encode(given, forKey: Name(stringValue: name))
    }
  }
}

// MARK: - Values

extension Setting {
  /// What can be shown of a value: a connection string without its password.
  func shown(_ value: String) -> String {
    guard self == .databaseURL else { return value }
    return (try? PostgresConfiguration(value)).map(\.description) ?? "(not a connection string)"
  }

  /// Throws a usage error that names a value which cannot be.
  func check(_ value: String) throws {
    switch self {
    case .coordinator, .keykeeper, .logger:
      do {
        _ = try Endpoint(parsing: value)
      } catch {
        throw CommandFailure.usage("--\(option): \(error)")
      }
    case .timeout: _ = try Setting.timeout(value)
    case .databaseURL:
      do {
        _ = try PostgresConfiguration(value)
      } catch {
        throw CommandFailure.usage("--\(option): \(error.message)")
      }
    case .tlsCert, .tlsKey, .tlsCa:
      // Found from any directory.
      guard value.hasPrefix("/") else { throw CommandFailure.usage("--\(option) '\(value)' is not an absolute path") }
    }
  }

  /// A time limit in seconds.
  static func timeout(_ text: String) throws -> Double {
    guard let seconds = Double(text), seconds > 0, seconds <= 86_400 else {
      throw CommandFailure.usage("--timeout '\(text)' is not between 0 and 86400 seconds")
    }
    return seconds
  }

  fileprivate static func holdsPassword(_ connectionString: String) -> Bool {
    (try? PostgresConfiguration(connectionString))?.hasPassword ?? false
  }
}
