import Signing

// The module lends and borrows bytes as spans; tests keep theirs in arrays.

extension BatchSigner {
  mutating func signature(over payload: [UInt8]) throws -> [UInt8] {
    var signature: [UInt8] = []
    _ = try sign(payload.span, appendingTo: &signature)
    return signature
  }
}

extension SignatureVerifier {
  mutating func accepts(_ signature: [UInt8], over payload: [UInt8]) throws -> Bool {
    try verify(signature: signature.span, payload: payload.span)
  }
}

extension PublicKey {
  init(importing bytes: [UInt8]) throws {
    try self.init(importing: bytes.span)
  }

  func accepts(_ signature: [UInt8], over payload: [UInt8]) throws -> Bool {
    try verify(signature: signature.span, payload: payload.span)
  }
}

extension PrivateKey {
  init(importing bytes: [UInt8], passphrase: String? = nil) throws {
    if let passphrase {
      let characters = Array(passphrase.utf8)
      try self.init(importing: bytes.span, passphrase: characters.span)
    } else {
      try self.init(importing: bytes.span)
    }
  }
}

extension SecretBytes {
  init(_ bytes: [UInt8]) throws {
    try self.init(copying: bytes.span)
  }
}

/// Why a private key cannot be imported, or nil if it can.
func importError(_ bytes: [UInt8], passphrase: String? = nil) throws -> SigningError? {
  try signingError { _ = try PrivateKey(importing: bytes, passphrase: passphrase) }
}

/// Why a public key cannot be imported, or nil if it can.
func publicImportError(_ bytes: [UInt8]) throws -> SigningError? {
  try signingError { _ = try PublicKey(importing: bytes) }
}
