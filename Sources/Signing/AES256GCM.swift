internal import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) with a nonce of 12 and a tag of 16 bytes, by OpenSSL: libsodium has it only where the
/// processor has AES instructions.
enum AES256GCM {
  private static let tagBytes = 16

  /// Ciphertext followed by the tag.
  static func encrypt(
    _ plaintext: borrowing SecretBytes, key: borrowing SecretBytes, nonce: [UInt8], associatedData: [UInt8]
  ) throws(SigningError) -> [UInt8] {
    let context = try Context(key: key, nonce: nonce, encrypting: true)
    var sealed = [UInt8](repeating: 0, count: plaintext.count + tagBytes)
    let ok = sealed.withUnsafeMutableBufferPointer { sealed in
      plaintext.withBytes { plaintext in
        context.addAssociatedData(associatedData) && context.process(plaintext, to: sealed.baseAddress!)
          && context.finish()
          && EVP_CIPHER_CTX_ctrl(
            context.pointer, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), sealed.baseAddress! + plaintext.count) == 1
      }
    }
    guard ok else { throw OpenSSLErrors.libraryFailure("encrypt a key") }
    return sealed
  }

  /// The plaintext, or nil if the tag does not match. `sealed` holds at least the tag.
  static func decrypt(
    _ sealed: [UInt8], key: borrowing SecretBytes, nonce: [UInt8], associatedData: [UInt8]
  ) throws(SigningError) -> SecretBytes? {
    let context = try Context(key: key, nonce: nonce, encrypting: false)
    let count = sealed.count - tagBytes
    var tag = Array(sealed[count...])
    guard EVP_CIPHER_CTX_ctrl(context.pointer, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes), &tag) == 1,
      context.addAssociatedData(associatedData)
    else { throw OpenSSLErrors.libraryFailure("decrypt a key") }

    var isGenuine = false
    let plaintext = try SecretBytes(capacity: count) { (output) throws(SigningError) in
      try output.appendInPlace(count) { (target) throws(SigningError) in
        guard context.process(sealed.span.extracting(0..<count), to: target.baseAddress!) else {
          throw OpenSSLErrors.libraryFailure("decrypt a key")
        }
      }
      isGenuine = context.finish()
    }
    guard isGenuine else {
      OpenSSLErrors.discard()
      return nil
    }
    return plaintext
  }

  private struct Context: ~Copyable {
    let pointer: OpaquePointer

    /// Looked up once per process.
    private static let cipher = Cipher(fetched: EVP_CIPHER_fetch(nil, "AES-256-GCM", nil))

    private struct Cipher: @unchecked Sendable {
      // Unchecked: a fetched algorithm is immutable, counts its references atomically and is never freed.
      let fetched: OpaquePointer?
    }

    init(key: borrowing SecretBytes, nonce: [UInt8], encrypting: Bool) throws(SigningError) {
      guard let cipher = Self.cipher.fetched, let pointer = EVP_CIPHER_CTX_new() else {
        throw OpenSSLErrors.libraryFailure("find AES-256-GCM")
      }
      let result = key.withBytes { key in
        key.withUnsafeBufferPointer {
          EVP_CipherInit_ex2(pointer, cipher, $0.baseAddress, nonce, encrypting ? 1 : 0, nil)
        }
      }
      guard result == 1 else {
        EVP_CIPHER_CTX_free(pointer)
        throw OpenSSLErrors.libraryFailure("initialise AES-256-GCM")
      }
      self.pointer = pointer
    }

    deinit {
      EVP_CIPHER_CTX_free(pointer)
    }

    func addAssociatedData(_ bytes: [UInt8]) -> Bool {
      var written: Int32 = 0
      return EVP_CipherUpdate(pointer, nil, &written, bytes, Int32(bytes.count)) == 1
    }

    func process(_ bytes: Span<UInt8>, to target: UnsafeMutablePointer<UInt8>) -> Bool {
      guard bytes.count > 0 else { return true }
      var written: Int32 = 0
      return bytes.withUnsafeBufferPointer {
        EVP_CipherUpdate(pointer, target, &written, $0.baseAddress, Int32($0.count)) == 1 && written == bytes.count
      }
    }

    /// Computes the tag or compares it. GCM has no last block to write, but OpenSSL wants an address.
    func finish() -> Bool {
      var rest: UInt8 = 0
      var written: Int32 = 0
      return EVP_CipherFinal_ex(pointer, &rest, &written) == 1
    }
  }
}
