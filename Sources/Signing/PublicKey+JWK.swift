public import Domain

extension PublicKey {
  /// The members of the key's JWK (RFC 7517, RFC 7518, 6, and RFC 8037, 2), all of which are texts. `kid` is what the
  /// protected header of a JWS names the key by.
  public func jwk(_ id: KeyID) -> [String: String] {
    var members = ["kid": "\(id)", "use": "sig", "alg": JWS.name(of: algorithm)]
    func encoded(_ range: Range<Int>) -> String { Base64URL.encode(Array(der[range])) }
    switch layout {
    case .p256(let point):
      // Canonical: one byte that says uncompressed, then X and Y.
      let x = point.lowerBound + 1
      members["kty"] = "EC"
      members["crv"] = "P-256"
      members["x"] = encoded(x..<x + 32)
      members["y"] = encoded(x + 32..<x + 64)
    case .ed25519(let key):
      members["kty"] = "OKP"
      members["crv"] = "Ed25519"
      members["x"] = encoded(key)
    case .rsa(let integers, _):
      members["kty"] = "RSA"
      members["n"] = encoded(integers[0])
      members["e"] = encoded(integers[1])
    }
    return members
  }
}
