/// What a DER structure is, judged by the tags of its outermost elements alone. This is how a wrong file is recognised
/// and named before anything in it is used.
enum DERShape {
  /// PrivateKeyInfo of PKCS#8 (RFC 5208) or OneAsymmetricKey (RFC 5958).
  case pkcs8
  /// EncryptedPrivateKeyInfo (RFC 5208, 6).
  case encryptedPKCS8
  /// ECPrivateKey (RFC 5915).
  case sec1
  /// RSAPrivateKey (RFC 8017, A.1.2).
  case pkcs1
  /// SubjectPublicKeyInfo (RFC 5280, 4.1).
  case subjectPublicKeyInfo
  /// RSAPublicKey (RFC 8017, A.1.1).
  case pkcs1Public
  /// A certificate or a certificate request.
  case certificate
  /// PFX (RFC 7292).
  case pkcs12
  case unknown

  /// Looks at the elements of the outermost SEQUENCE.
  /// - Throws: `malformed_der` if it is no SEQUENCE or an element in it is cut short, `trailing_data` if bytes follow
  ///   it.
  init(of bytes: Span<UInt8>) throws(SigningError) {
    var outer = DERCursor(0..<bytes.count)
    var elements = DERCursor(try outer.read(.sequence, in: bytes))
    guard outer.isAtEnd else {
      throw SigningError(
        .trailingData, "\(bytes.count - outer.position) bytes follow the key; give a file with the key alone")
    }
    var tags: [DERCursor.Tag?] = []
    while !elements.isAtEnd, tags.count < 4 {
      tags.append(elements.peek(in: bytes))
      _ = try elements.skip(in: bytes)
    }
    self = Self.recognize(tags)
  }

  private static func recognize(_ tags: [DERCursor.Tag?]) -> DERShape {
    switch (tags.first ?? nil, tags.dropFirst().first ?? nil, tags.dropFirst(2).first ?? nil) {
    case (.integer, .sequence, .octetString): .pkcs8
    case (.integer, .sequence, .sequence): .pkcs12
    case (.integer, .octetString, _): .sec1
    case (.integer, .integer, .integer): .pkcs1
    case (.integer, .integer, nil): .pkcs1Public
    case (.sequence, .octetString, nil): .encryptedPKCS8
    case (.sequence, .bitString, nil): .subjectPublicKeyInfo
    case (.sequence, .sequence, .bitString): .certificate
    default: .unknown
    }
  }
}
