public import Domain

/// Signs the records of a lease with one key, one after another. The key is decoded once, and contexts and digests are
/// reused, so that a signature costs what the library's own arithmetic costs.
///
/// Any one thread may use it at a time: it can be moved to another thread, not shared. When it is destroyed the key is
/// wiped.
///
/// ECDSA goes through `EVP_PKEY_sign` with one context. OpenSSL's older calls below that (`ECDSA_sign_setup`) save
/// some 8% by leaving the private key and the digest out of the nonce's derivation, so that a weak random generator
/// would give the key away; they are also deprecated.
public struct BatchSigner: ~Copyable, @unchecked Sendable {
  // Unchecked: what it holds belongs to this value alone and is used only while the value is borrowed exclusively.

  /// What the signatures are made as.
  public let algorithm: SignatureAlgorithm

  private var digester: PayloadDigester
  private let method: Method
  /// The prefix, and room for the payload behind it.
  private var message: [UInt8]
  private let prefixBytes: Int

  enum Method: ~Copyable {
    case digest(EVPContext)
    case ed25519(Ed25519Signer)
  }

  /// Decodes the key; 12 to 20 µs. Every payload is signed with `prefix` before it, as ``SignatureForm/prefix(_:_:)`` makes it.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public init(_ key: borrowing PrivateKey, prefix: [UInt8] = []) throws(SigningError) {
    let algorithm = key.algorithm
    let method = try key.withParts { (layout, bytes) throws(SigningError) -> Method in
      if case .ed25519(let seed, _) = layout { return .ed25519(try Ed25519Signer(seed: bytes.extracting(seed))) }
      return .digest(try EVPContext(.sign, try EVPKey(layout, in: bytes), algorithm))
    }
    digester = try PayloadDigester()
    self.algorithm = algorithm
    self.method = method
    message = prefix
    prefixBytes = prefix.count
  }

  /// Appends one signature over the prefix and exactly these bytes, at most ``SignatureAlgorithm/maximumSignatureBytes`` long, for
  /// which the caller has made room. Nothing is appended if it throws.
  /// - Returns: The SHA-256 of the payload. Without a prefix, ECDSA and RSA sign it, so that it is hashed only once.
  /// - Throws: `library_failure`; the queue of OpenSSL's errors is empty afterwards.
  public mutating func sign(
    _ payload: Span<UInt8>, into output: inout OutputSpan<UInt8>
  ) throws(SigningError) -> SHA256Digest {
    precondition(
      output.freeCapacity >= algorithm.maximumSignatureBytes,
      "room for \(output.freeCapacity) bytes, but a signature may have \(algorithm.maximumSignatureBytes)")
    let digest = try digester.digest(payload)
    guard prefixBytes > 0 else {
      switch method {
      case .digest(let context): try context.sign(digest, into: &output)
      case .ed25519(let signer): try signer.sign(payload, into: &output)
      }
      return digest
    }
    message.removeSubrange(prefixBytes...)
    payload.withUnsafeBufferPointer { message.append(contentsOf: $0) }
    switch method {
    case .digest(let context): try context.sign(try digester.hash(message.span), into: &output)
    case .ed25519(let signer): try signer.sign(message.span, into: &output)
    }
    return digest
  }

  /// As ``sign(_:into:)``, at the end of an array. Reserve capacity for the batch first.
  public mutating func sign(
    _ payload: Span<UInt8>, appendingTo signatures: inout [UInt8]
  ) throws(SigningError) -> SHA256Digest {
    var digest: SHA256Digest?
    try signatures.append(addingCapacity: algorithm.maximumSignatureBytes) { (output) throws(SigningError) in
      digest = try sign(payload, into: &output)
    }
    guard let digest else { preconditionFailure("the closure has run") }
    return digest
  }
}
