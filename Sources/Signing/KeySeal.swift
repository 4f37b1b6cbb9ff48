internal import CSodium

/// The sealing of private keys that ``SealingPublicKey`` specifies.
enum KeySeal {
  static let version: UInt8 = 1

  private static let keyBytes = 32
  private static let nonceBytes = 24
  private static let tagBytes = 16
  private static let headerBytes = 1 + SealingPublicKey.byteCount + nonceBytes
  private static let personalization = Array("chancery-seal-v1".utf8)

  /// What sealing adds to a key, in bytes.
  static let overheadBytes = headerBytes + tagBytes

  /// Seals `secret`; about 60 µs.
  static func seal(
    _ secret: borrowing SecretBytes, to recipient: SealingPublicKey, for purpose: SealPurpose
  ) throws(SigningError) -> [UInt8] {
    guard secret.count <= PrivateKey.maximumEncodedBytes else {
      throw SigningError(.keyTooLarge, "\(secret.count) bytes are no key, and only keys are sealed")
    }
    let ephemeral = try X25519Pair()
    let key = try derive(
      from: try ephemeral.sharedSecret(with: recipient), ephemeral: ephemeral.publicKey, recipient: recipient)
    var nonce = [UInt8](repeating: 0, count: nonceBytes)
    randombytes_buf(&nonce, nonceBytes)
    let associatedData = [version] + purpose.associatedData

    var message = [version] + ephemeral.publicKey.bytes + nonce
    message.append(addingCapacity: secret.count + tagBytes) { output in
      output.withUnsafeMutableBufferPointer { target, initialized in
        key.withBytes { key in
          secret.withBytes { secret in
            key.withUnsafeBufferPointer { key in
              secret.withUnsafeBufferPointer { secret in
                // Returns 0 for every input.
                _ = crypto_aead_xchacha20poly1305_ietf_encrypt(
                  target.baseAddress!, nil, secret.baseAddress, UInt64(secret.count), associatedData,
                  UInt64(associatedData.count), nil, nonce, key.baseAddress!)
              }
            }
          }
        }
        initialized = secret.count + tagBytes
      }
    }
    return message
  }

  /// Opens what ``seal(_:to:for:)`` made for the holder of `pair`; about 30 µs.
  static func open(
    _ message: Span<UInt8>, with pair: borrowing X25519Pair, for purpose: SealPurpose
  ) throws(SigningError) -> SecretBytes {
    guard (overheadBytes...overheadBytes + PrivateKey.maximumEncodedBytes).contains(message.count) else {
      throw SigningError(
        .malformedCiphertext, "a sealed key of \(message.count) bytes is cut short or too long; ask for it again")
    }
    guard message[0] == version else {
      throw SigningError(
        .malformedCiphertext,
        "the sealed key is of version \(message[0]), and only \(version) is known; update this program")
    }
    let sender = try SealingPublicKey(bytes: message.extracting(1..<1 + SealingPublicKey.byteCount))
    let shared: SecretBytes
    do throws(SigningError) {
      shared = try pair.sharedSecret(with: sender)
    } catch {
      guard error.code == .invalidRecipient else { throw error }
      throw SigningError(.malformedCiphertext, "the sealed key names a sender that yields no secret; ask for it again")
    }
    let key = try derive(from: shared, ephemeral: sender, recipient: pair.publicKey)
    let associatedData = [version] + purpose.associatedData
    let count = message.count - overheadBytes

    return try SecretBytes(capacity: count) { (output) throws(SigningError) in
      try output.appendInPlace(count) { (target) throws(SigningError) in
        let result = key.withBytes { key in
          key.withUnsafeBufferPointer { key in
            message.withUnsafeBufferPointer { message in
              crypto_aead_xchacha20poly1305_ietf_decrypt(
                target.baseAddress, nil, nil, message.baseAddress! + headerBytes, UInt64(count + tagBytes),
                associatedData, UInt64(associatedData.count), message.baseAddress! + headerBytes - nonceBytes,
                key.baseAddress!)
            }
          }
        }
        guard result == 0 else {
          throw SigningError(
            .authenticationFailed,
            "the sealed key was altered, or was sealed for another recipient, key or epoch; ask for it again")
        }
      }
    }
  }

  private static func derive(
    from secret: consuming SecretBytes, ephemeral: SealingPublicKey, recipient: SealingPublicKey
  ) throws(SigningError) -> SecretBytes {
    let input = try SecretBytes(capacity: secret.count + 2 * SealingPublicKey.byteCount) { output in
      secret.withBytes { output.append(copying: $0) }
      output.append(copying: ephemeral.bytes)
      output.append(copying: recipient.bytes)
    }
    return try input.withBytes { (input) throws(SigningError) in
      try Blake2b.derive(keyBytes, from: input, personalization: personalization)
    }
  }
}
