import Glibc
import PostgresDriver
import Signing

extension Examination {
  /// What this process may do; services that its user starts may do the same.
  static let process = Examination(checks: ["open-files"]) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      let reason = String(cString: strerror(errno))
      return [Finding(check: "open-files", result: .failed, seen: "the limit cannot be read: \(reason)")]
    }
    // Each connection is one; a hundred signers with their stores stay below this.
    let isEnough = limit.rlim_cur >= 1024
    return [
      Finding(
        check: "open-files", result: isEnough ? .ok : .warning, seen: "at most \(limit.rlim_cur) for a process",
        remedy: isEnough ? nil : "raise it: ulimit -n 1024, or LimitNOFILE=1024 in a unit of systemd")
    ]
  }

  /// Whether the file with the key-encryption key can be used, by its owner alone.
  static func keyEncryptionKey(_ path: String?) -> Examination {
    let check = "key-encryption-key"
    guard let path else {
      return skipped([check], "no file is given", remedy: "--kek-file or CHANCERY_KEK_FILE, where a KeyKeeper runs")
    }
    return Examination(checks: [check]) {
      do throws(SigningError) {
        // The key is in memory for a moment.
        try ProcessHardening.disableCoreDumps()
        let key = try KeyEncryptionKey.load(from: path)
        return [Finding(check: check, result: .ok, seen: "\(path) holds the key \(key.id)")]
      } catch {
        let remedy =
          switch error.code {
          case .filePermissions: "chmod 600 \(path), and chown it to the user of KeyKeeper"
          case .fileUnreadable: "check the path, and run this as the user of KeyKeeper"
          case .malformedKeyEncryptionKey: "restore the file from its backup"
          default: "see the message"
          }
        return [Finding(check: check, result: .failed, seen: error.message, remedy: remedy)]
      }
    }
  }
}

extension ContextFile {
  /// Whether the file of contexts can be read, by its owner alone.
  static func examine() -> Finding {
    let check = "contexts"
    let file: ContextFile
    do {
      file = try decoded()
    } catch {
      let failure = error as? CommandFailure
      return Finding(check: check, result: .failed, seen: failure?.message ?? "\(error)", remedy: failure?.hint)
    }
    guard let isOpen = isOpenToOthers else {
      return Finding(
        check: check, result: .skipped, seen: "there are none", remedy: "chancery context set NAME keeps settings")
    }
    guard isOpen else {
      return Finding(check: check, result: .ok, seen: "\(path) is its owner's alone")
    }
    return Finding(
      check: check, result: file.holdsPassword ? .failed : .warning,
      seen: "others can use \(path)\(file.holdsPassword ? ", and it holds a password" : "")",
      remedy: "chmod 600 \(path)")
  }
}
