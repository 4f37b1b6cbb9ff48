extension RPCError {
  /// The most UTF-8 bytes of a message that travel.
  static let maximumMessageBytes = 4096
  /// The most details that travel, and that are kept of what arrives.
  static let maximumDetails = 32
  /// The most bytes that all details together may take when they travel.
  static let maximumDetailBytes = 64 * 1024

  /// The error as any peer can read it. Peers built on protobuf-c cut texts at a NUL or refuse them, and an error that is
  /// too large for a frame would reach nobody.
  func fittedForWire() -> RPCError {
    var error = self
    // An error whose code was set to OK afterwards would look like success.
    if code == .ok { error.code = .internal }
    error.message = message.fittedForWire(maximumBytes: Self.maximumMessageBytes)
    if !details.isEmpty { error.details = Self.fitted(details) }
    return error
  }

  private static func fitted(_ details: [ErrorDetail]) -> [ErrorDetail] {
    var room = maximumDetailBytes
    var fitted: [ErrorDetail] = []
    for detail in details.prefix(maximumDetails) {
      let size = detail.typeURL.utf8.count + detail.value.count
      guard size <= room else { continue }
      room -= size
      fitted.append(ErrorDetail(typeURL: detail.typeURL.withoutNUL, value: detail.value))
    }
    return fitted
  }
}

extension String {
  fileprivate func fittedForWire(maximumBytes: Int) -> String {
    guard utf8.count > maximumBytes else { return withoutNUL }
    let note = "… (cut from \(utf8.count) bytes)"
    var room = maximumBytes - note.utf8.count
    let kept = unicodeScalars.prefix { scalar in
      room -= UTF8.width(scalar)
      return room >= 0
    }
    return String(kept).withoutNUL + note
  }

  /// Called for every error that is sent, hence the scan before the copy. U+FFFD is longer than the NUL it stands for, but
  /// the frame's limit is far above three times the message's.
  fileprivate var withoutNUL: String {
    guard utf8.contains(0) else { return self }
    var scalars = UnicodeScalarView()
    for scalar in unicodeScalars { scalars.append(scalar == "\0" ? "\u{FFFD}" : scalar) }
    return String(scalars)
  }
}
