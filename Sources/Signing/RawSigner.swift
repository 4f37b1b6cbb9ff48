internal import Domain

/// The libraries' calls that make one signature and nothing else, over the same payload again and again. The wrappers
/// it goes through disappear in a release build: what remains is hash and `EVP_PKEY_sign`, or one Ed25519 call.
struct RawSigner: ~Copyable {
  private let payload: [UInt8]
  private let maximumSignatureBytes: Int
  private let method: Method

  enum Method: ~Copyable {
    case digest(EVPContext)
    case ed25519(Ed25519Signer)
  }

  private let digester: PayloadDigester

  init(_ key: consuming PrivateKey, payload: [UInt8]) throws(SigningError) {
    let algorithm = key.algorithm
    let method = try key.withParts { (layout, bytes) throws(SigningError) -> Method in
      if case .ed25519(let seed, _) = layout { return .ed25519(try Ed25519Signer(seed: bytes.extracting(seed))) }
      return .digest(try EVPContext(.sign, try EVPKey(layout, in: bytes), algorithm))
    }
    digester = try PayloadDigester()
    self.method = method
    self.payload = payload
    maximumSignatureBytes = algorithm.maximumSignatureBytes
  }

  /// Makes `count` signatures, each in the place of the one before.
  mutating func sign(_ count: Int) throws(SigningError) {
    var signature: [UInt8] = []
    try signature.append(addingCapacity: maximumSignatureBytes) { (output) throws(SigningError) in
      for _ in 0..<count {
        output.removeAll()
        switch method {
        case .digest(let context): try context.sign(try digester.hash(payload.span), into: &output)
        case .ed25519(let signer): try signer.sign(payload.span, into: &output)
        }
      }
    }
  }
}
