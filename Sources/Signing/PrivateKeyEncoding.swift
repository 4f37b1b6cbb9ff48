/// Writes the canonical PKCS#8 of a private key (RFC 5208, version 0, no attributes; EC keys with their public point
/// and without a second copy of the curve's name): the same bytes that `openssl pkcs8 -topk8 -nocrypt` writes.
enum PrivateKeyEncoding {
  /// A P-256 key of at most 32 bytes of scalar and the 65 bytes of its uncompressed point.
  static func p256(scalar: Span<UInt8>, point: Span<UInt8>) throws(SigningError) -> SecretBytes {
    let prefix = KeyTemplate.p256PrivatePrefix
    let middle = KeyTemplate.p256PrivateMiddle
    return try SecretBytes(capacity: prefix.count + 32 + middle.count + point.count) { output in
      output.append(copying: prefix)
      output.append(repeating: 0, count: 32 - scalar.count)
      output.append(copying: scalar)
      output.append(copying: middle)
      output.append(copying: point)
    }
  }

  /// An Ed25519 key of its 32-byte seed.
  static func ed25519(seed: Span<UInt8>) throws(SigningError) -> SecretBytes {
    let prefix = KeyTemplate.ed25519PrivatePrefix
    return try SecretBytes(capacity: prefix.count + seed.count) { output in
      output.append(copying: prefix)
      output.append(copying: seed)
    }
  }

  /// An RSA key whose eight big-endian integers lie in `bytes`, in the order of RFC 8017, with or without leading
  /// zeroes.
  static func rsa(_ integers: [Range<Int>], in bytes: Span<UInt8>) throws(SigningError) -> SecretBytes {
    var keyContent = DERWriter.zeroSize
    for integer in integers { keyContent += DERWriter.size(ofUnsigned: integer, in: bytes) }
    let key = DERWriter.size(ofContent: keyContent)
    let infoContent = DERWriter.zeroSize + KeyTemplate.rsaAlgorithm.count + DERWriter.size(ofContent: key)

    return try SecretBytes(capacity: DERWriter.size(ofContent: infoContent)) { output in
      DERWriter.begin(.sequence, content: infoContent, in: &output)
      DERWriter.writeZero(in: &output)
      output.append(copying: KeyTemplate.rsaAlgorithm)
      DERWriter.begin(.octetString, content: key, in: &output)
      DERWriter.begin(.sequence, content: keyContent, in: &output)
      DERWriter.writeZero(in: &output)
      for integer in integers { DERWriter.write(unsigned: integer, of: bytes, in: &output) }
    }
  }
}
