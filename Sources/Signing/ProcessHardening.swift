internal import COpenSSL
internal import CSodium
internal import Glibc

/// What a process that holds keys does at its start.
public enum ProcessHardening {
  /// Keeps OpenSSL from freeing all it has when the process exits, for then threads may still use it: one that was ending frees
  /// its own part at that very time, and the process died of it after its work was done. Must be called before anything else
  /// uses OpenSSL, libpq included.
  public static func keepOpenSSLToTheEnd() {
    precondition(
      OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1, "OpenSSL cannot even be initialized")
  }

  /// Forbids core dumps of this process, and that other processes of the same user trace it or read its memory.
  /// `RLIMIT_CORE` goes to 0, and `PR_SET_DUMPABLE` too, since the kernel ignores that limit where core dumps are piped
  /// into a program. Both last until another program is executed; the limit is inherited by children.
  /// - Throws: `library_failure` with the system's reason.
  public static func disableCoreDumps() throws(SigningError) {
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    // Where a sandbox allows no change, the limit may be low enough already.
    var current = rlimit()
    guard
      setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0
        || (getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &current) == 0 && current.rlim_cur == 0)
    else { throw failure("set the core dump limit to 0") }
    guard chancery_forbid_dumps() == 0 else { throw failure("forbid core dumps") }
  }

  /// Whether ``disableCoreDumps()`` is in force.
  public static var coreDumpsAreDisabled: Bool {
    var current = rlimit()
    return getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &current) == 0 && current.rlim_cur == 0
      && chancery_may_be_dumped() == 0
  }

  /// Sets up the memory for keys if nobody has used it yet, and says whether it is locked: never written to swap. If
  /// not, `RLIMIT_MEMLOCK` is below one mebibyte; everything works all the same.
  public static var keyMemoryIsLocked: Bool { KeyMemory.isLocked }

  private static func failure(_ what: String) -> SigningError {
    SigningError(.libraryFailure, "cannot \(what): \(String(cString: strerror(errno)))")
  }
}
