internal import COpenSSL

/// OpenSSL keeps a queue of errors per thread. A call that fails must leave it empty: what stays would be blamed on the
/// next caller on this thread, which after an `await` may be anyone.
struct OpenSSLErrors {
  /// The library's reasons, oldest first. Only its own fixed texts: the optional data may quote input.
  let reasons: [String]

  /// Whether one of them says that the library itself failed rather than that its input was refused.
  let isFatal: Bool

  /// Whether one of them says that an algorithm is missing.
  let isUnsupported: Bool

  /// Empties this thread's queue.
  static func drain() -> OpenSSLErrors {
    var codes: [UInt] = []
    while case let code = ERR_get_error(), code != 0 {
      if codes.count < SigningError.maximumReasons { codes.append(code) }
    }
    return OpenSSLErrors(codes: codes)
  }

  /// Empties this thread's queue where the reasons say nothing new, such as for a signature that does not verify.
  static func discard() {
    ERR_clear_error()
  }

  private init(codes: [UInt]) {
    self.reasons = codes.map { code in
      guard let reason = ERR_reason_error_string(code) else { return "OpenSSL error \(String(code, radix: 16))" }
      return String(cString: reason)
    }
    self.isFatal = codes.contains { chancery_error_is_fatal($0) == 1 }
    self.isUnsupported = codes.contains { chancery_error_is_unsupported($0) == 1 }
  }

  /// The failure of a call that valid input cannot make fail.
  static func libraryFailure(_ operation: String) -> SigningError {
    SigningError(
      .libraryFailure, "OpenSSL failed to \(operation); check memory and the OpenSSL configuration",
      reasons: drain().reasons)
  }
}
