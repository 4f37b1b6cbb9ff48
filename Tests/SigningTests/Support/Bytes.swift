import Signing

/// The bytes of hexadecimal digits; white space is skipped.
func hex(_ text: String) -> [UInt8] {
  let digits = text.filter { !$0.isWhitespace }.map { $0.hexDigitValue! }
  precondition(digits.count.isMultiple(of: 2), "an odd number of digits")
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

extension SecretBytes {
  /// What a test compares. Only tests may take secrets out of their place.
  var exposed: [UInt8] {
    withBytes { bytes in (0..<bytes.count).map { bytes[$0] } }
  }
}

extension PrivateKey {
  /// The exported key of a test.
  func exposedPKCS8() throws -> [UInt8] { try pkcs8().exposed }
}

/// What a call throws, or nil if it does not. A closure that returns a key makes no value that could be compared.
func signingError(_ body: () throws -> Void) throws -> SigningError? {
  do {
    try body()
    return nil
  } catch let error as SigningError {
    return error
  }
}
