/// Writes the canonical SubjectPublicKeyInfo of a public key, EC points uncompressed: the same bytes that
/// `openssl pkey -pubout -outform DER` writes for a key with an uncompressed point.
enum PublicKeyEncoding {
  /// A P-256 key of the 65 bytes of its uncompressed point.
  static func p256(point: Span<UInt8>) -> [UInt8] {
    KeyTemplate.p256PublicPrefix + point.copiedBytes
  }

  /// An Ed25519 key of its 32 bytes.
  static func ed25519(_ key: Span<UInt8>) -> [UInt8] {
    KeyTemplate.ed25519PublicPrefix + key.copiedBytes
  }

  /// An RSA key whose integers n and e lie in `bytes`.
  static func rsa(_ integers: [Range<Int>], in bytes: Span<UInt8>) -> [UInt8] {
    let keyContent = integers.reduce(0) { $0 + DERWriter.size(ofUnsigned: $1, in: bytes) }
    let bitString = 1 + DERWriter.size(ofContent: keyContent)
    let infoContent = KeyTemplate.rsaAlgorithm.count + DERWriter.size(ofContent: bitString)
    return [UInt8](capacity: DERWriter.size(ofContent: infoContent)) { output in
      DERWriter.begin(.sequence, content: infoContent, in: &output)
      output.append(copying: KeyTemplate.rsaAlgorithm)
      DERWriter.begin(.bitString, content: bitString, in: &output)
      output.append(0)
      DERWriter.begin(.sequence, content: keyContent, in: &output)
      for integer in integers { DERWriter.write(unsigned: integer, of: bytes, in: &output) }
    }
  }
}
