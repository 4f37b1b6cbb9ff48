public import Domain

/// JSON Web Signatures (RFC 7515) over unencoded, detached payloads (RFC 7797), and the names that JOSE has for things.
///
/// The protected header says nothing about the record, so that it is the same for all records of a key:
/// `{"alg":"ES256","b64":false,"crit":["b64"],"kid":"17"}`.
public enum JWS {
  /// What JOSE calls an algorithm (RFC 7518, 3.1; RFC 8037, 3.1).
  public static func name(of algorithm: SignatureAlgorithm) -> String {
    switch algorithm {
    case .ecdsaP256: "ES256"
    case .ed25519: "EdDSA"
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096: "PS256"
    }
  }

  /// The compact serialization of a signature of the form `jws`, without the payload: header, two full stops, signature.
  /// - Throws: `malformed_der` if an ECDSA signature is not one.
  public static func detached(
    _ signature: [UInt8], by key: KeyID, _ algorithm: SignatureAlgorithm
  ) throws(SigningError) -> String {
    let fixed = algorithm == .ecdsaP256 ? try concatenated(signature) : signature
    return "\(header(algorithm, key))..\(Base64URL.encode(fixed))"
  }

  static func header(_ algorithm: SignatureAlgorithm, _ key: KeyID) -> String {
    Base64URL.encode(Array(#"{"alg":"\#(name(of: algorithm))","b64":false,"crit":["b64"],"kid":"\#(key)"}"#.utf8))
  }

  /// R and S of an ECDSA signature, 32 bytes each: JOSE has no DER (RFC 7518, 3.4).
  private static func concatenated(_ signature: [UInt8]) throws(SigningError) -> [UInt8] {
    let bytes = signature.span
    var outer = DERCursor(0..<bytes.count)
    var pair = DERCursor(try outer.read(.sequence, in: bytes))
    try outer.finish()
    var fixed: [UInt8] = []
    for _ in 0..<2 {
      let number = try pair.readUnsigned(in: bytes)
      guard number.count <= 32 else {
        throw DERCursor.malformed("a number of a P-256 signature has \(number.count) bytes", at: number.lowerBound)
      }
      fixed += Array(repeating: 0, count: 32 - number.count) + signature[number]
    }
    try pair.finish()
    return fixed
  }
}

extension SignatureForm {
  /// What precedes the payload in what a key signs.
  public func prefix(_ algorithm: SignatureAlgorithm, _ key: KeyID) -> [UInt8] {
    switch self {
    case .raw: []
    case .jws: Array((JWS.header(algorithm, key) + ".").utf8)
    }
  }
}
