import Domain
import Signing
import Testing

// Proves that the `openssl` program, which shares none of our code, verifies what we sign and makes signatures that we
// verify, with nothing but the commands that the documentation gives; and that keys travel both ways byte for byte.
@Suite struct OpenSSLInteroperabilityTests {
  /// `openssl pkeyutl` of version 3.0 fails on an empty file, so Ed25519 does without; RFC 8032's first vector covers
  /// it.
  static func payloads(_ algorithm: SignatureAlgorithm) -> [[UInt8]] {
    let payloads: [[UInt8]] = [[], Array("a record".utf8), [UInt8](repeating: 7, count: 20_000)]
    return algorithm == .ed25519 ? Array(payloads.dropFirst()) : payloads
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func opensslVerifiesOurSignatures(_ algorithm: SignatureAlgorithm) throws {
    let directory = try TemporaryDirectory()
    let key = try TestKeys.key(algorithm)
    try directory.write("public.pem", Array(try key.publicKey.pem.utf8))
    var signer = try BatchSigner(key)
    for payload in Self.payloads(algorithm) {
      try directory.write("payload", payload)
      var signature = try signer.signature(over: payload)
      try directory.write("signature", signature)
      #expect(try OpenSSLProgram.succeeds(Self.verify(algorithm), in: directory), "\(payload.count) bytes")
      signature[signature.count - 1] ^= 1
      try directory.write("signature", signature)
      #expect(try !OpenSSLProgram.succeeds(Self.verify(algorithm), in: directory), "altered, \(payload.count) bytes")
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func weVerifyOpenSSLsSignatures(_ algorithm: SignatureAlgorithm) throws {
    let directory = try TemporaryDirectory()
    try directory.write("private.der", try TestKeys.key(algorithm).exposedPKCS8())
    try OpenSSLProgram.run(["pkey", "-inform", "DER", "-in", "private.der", "-out", "private.pem"], in: directory)
    try OpenSSLProgram.run(["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"], in: directory)
    let publicKey = try PublicKey(importing: try directory.read("public.pem"))
    #expect(publicKey == (try TestKeys.key(algorithm).publicKey))
    for payload in Self.payloads(algorithm) {
      try directory.write("payload", payload)
      try OpenSSLProgram.run(Self.sign(algorithm), in: directory)
      let signature = try directory.read("signature")
      #expect(try publicKey.accepts(signature, over: payload))
      #expect(try !publicKey.accepts(signature, over: payload + [1]))
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func exportedKeysAreWhatOpenSSLWrites(_ algorithm: SignatureAlgorithm) throws {
    let directory = try TemporaryDirectory()
    let key = try TestKeys.key(algorithm)
    let der = try key.exposedPKCS8()
    try directory.write("key.der", der)
    let pkcs8 = ["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-in", "key.der", "-outform", "DER"]
    #expect(try OpenSSLProgram.run(pkcs8, in: directory) == der)
    let publicDER = ["pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER"]
    #expect(try OpenSSLProgram.run(publicDER, in: directory) == key.publicKey.der)
    let publicPEM = ["pkey", "-inform", "DER", "-in", "key.der", "-pubout"]
    #expect(try OpenSSLProgram.run(publicPEM, in: directory) == Array(key.publicKey.pem.utf8))
    let check = ["pkey", "-inform", "DER", "-in", "key.der", "-check", "-noout"]
    #expect(try OpenSSLProgram.succeeds(check, in: directory))
    try directory.write("public.der", try key.publicKey.der)
    let digest = try OpenSSLProgram.run(["dgst", "-sha256", "-r", "public.der"], in: directory)
    let fingerprint = try key.publicKey.fingerprint
    #expect(String(decoding: digest.prefix(64), as: UTF8.self) == fingerprint.digest.description)
    #expect(fingerprint.description == "SHA256:\(fingerprint.digest)")
  }

  private static func verify(_ algorithm: SignatureAlgorithm) -> [String] {
    switch algorithm {
    case .ecdsaP256: ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "payload"]
    case .ed25519:
      ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "public.pem", "-sigfile", "signature", "-in", "payload"]
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096:
      ["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        + ["-verify", "public.pem", "-signature", "signature", "payload"]
    }
  }

  private static func sign(_ algorithm: SignatureAlgorithm) -> [String] {
    switch algorithm {
    case .ecdsaP256: ["dgst", "-sha256", "-sign", "private.pem", "-out", "signature", "payload"]
    case .ed25519: ["pkeyutl", "-sign", "-rawin", "-inkey", "private.pem", "-in", "payload", "-out", "signature"]
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096:
      ["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        + ["-sign", "private.pem", "-out", "signature", "payload"]
    }
  }
}
