import Domain
import Signing
import Testing

// Proves what a signer does for a job of the form jws: it signs the protected header of its key, a full stop and the payload, so
// that the signature is the last part of a JWS; and that a verifier which expects one form refuses the other.
@Suite("Signatures can be made as JWS")
struct JWSTests {
  private let key = KeyID(rawValue: 17)

  @Test(arguments: [
    // {"alg":"ES256","b64":false,"crit":["b64"],"kid":"17"} and so on, in base64url.
    (SignatureAlgorithm.ecdsaP256, "eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il0sImtpZCI6IjE3In0"),
    (.ed25519, "eyJhbGciOiJFZERTQSIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il0sImtpZCI6IjE3In0"),
    (.rsaPSS2048, "eyJhbGciOiJQUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il0sImtpZCI6IjE3In0"),
  ])
  func whatIsSignedBeginsWithTheHeader(_ algorithm: SignatureAlgorithm, _ header: String) throws {
    #expect(SignatureForm.jws.prefix(algorithm, key) == Array((header + ".").utf8))
    #expect(SignatureForm.raw.prefix(algorithm, key) == [])
  }

  @Test(arguments: [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048])
  func aFormIsVerifiedAsItselfAlone(_ algorithm: SignatureAlgorithm) throws {
    let privateKey = try PrivateKey.generate(algorithm)
    let publicKey = try privateKey.publicKey
    let prefixes = SignatureForm.allCases.map { $0.prefix(algorithm, key) }
    for payload in [[], Array("a payload".utf8), [UInt8](repeating: 7, count: 20_000)] {
      for prefix in prefixes {
        var signer = try BatchSigner(privateKey, prefix: prefix)
        var signature: [UInt8] = []
        // Twice, for what one payload leaves behind must not get into the next.
        _ = try signer.sign([1, 2, 3].span, appendingTo: &signature)
        signature = []
        let digest = try signer.sign(payload.span, appendingTo: &signature)
        var digester = try PayloadDigester()
        #expect(try digester.digest(payload.span) == digest)
        #expect(try publicKey.verify(signature: signature.span, payload: (prefix + payload).span))
        for expected in prefixes {
          var verifier = try SignatureVerifier(publicKey, prefix: expected)
          let isValid = try verifier.verify(signature: signature.span, payload: payload.span)
          let verdict = try verifier.check(signature: signature.span, payload: payload.span, signedDigest: digest)
          #expect(isValid == (expected == prefix))
          #expect(verdict == (expected == prefix ? .valid : .invalidSignature))
          let byDigest = try verifier.verify(signature: signature.span, payloadDigest: digest)
          #expect(byDigest == (expected.isEmpty && algorithm != .ed25519 ? prefix.isEmpty : nil))
        }
      }
    }
  }

  /// R and S as JOSE has them: 32 bytes each, whatever DER needs.
  @Test func anECDSASignatureHas64Bytes() throws {
    let short: [UInt8] = [0x30, 0x07, 0x02, 0x01, 0x05, 0x02, 0x02, 0x00, 0x80]
    let text = try JWS.detached(short, by: key, .ecdsaP256)
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    #expect(parts.count == 3 && parts[1].isEmpty)
    let zeroes = String(repeating: "A", count: 41)
    #expect(parts[2] == zeroes + "AU" + zeroes + "gA")
    #expect(throws: SigningError.self) { try JWS.detached([0x30, 0x00], by: key, .ecdsaP256) }
  }

  @Test func aKeyHasTheMembersOfItsKind() throws {
    let members = try [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048].map { algorithm in
      try PrivateKey.generate(algorithm).publicKey.jwk(key)
    }
    #expect(members.map { $0["kty"] } == ["EC", "OKP", "RSA"])
    #expect(members.map { $0["alg"] } == ["ES256", "EdDSA", "PS256"])
    #expect(members[0]["crv"] == "P-256" && members[0]["x"]?.count == 43 && members[0]["y"]?.count == 43)
    #expect(members[1]["crv"] == "Ed25519" && members[1]["x"]?.count == 43)
    #expect(members[2]["e"] == "AQAB" && members[2]["n"]?.count == 342)
    #expect(members.allSatisfy { $0["kid"] == "17" && $0["use"] == "sig" })
  }
}
