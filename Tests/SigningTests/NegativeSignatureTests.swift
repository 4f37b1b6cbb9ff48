import Domain
import Signing
import Testing

// Proves that signatures which are wrong in the ways that have broken other verifiers are refused: numbers out of
// range, lax DER, signatures of another length or encoding, points of small order, another padding or salt. In the
// manner of project Wycheproof; the vectors are built here around a signature that is first shown to verify.
@Suite struct NegativeSignatureTests {
  static let payload = Array("123400".utf8)
  static let p256Order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")

  @Test func ecdsa() throws {
    let key = try TestKeys.key(.ecdsaP256)
    var signer = try BatchSigner(key)
    var verifier = try SignatureVerifier(try key.publicKey)
    let signature = try signer.signature(over: Self.payload)
    let (r, s) = ECDSASignature.parse(signature)
    #expect(try verifier.accepts(signature, over: Self.payload))
    #expect(ECDSASignature.der(r: r, s: s) == signature, "the parts are put together as the signer does")

    let one: [UInt8] = [1]
    let n = Self.p256Order
    let integer = ECDSASignature.integer
    let sequence = ECDSASignature.sequence
    let vectors: [(String, [UInt8])] = [
      ("r = 0", sequence(integer([]) + integer(s))),
      ("s = 0", sequence(integer(r) + integer([]))),
      ("r = s = 0", sequence(integer([]) + integer([]))),
      ("r = s = 1", sequence(integer(one) + integer(one))),
      ("r = n", sequence(integer(n) + integer(s))),
      ("s = n", sequence(integer(r) + integer(n))),
      ("r = n, s = n", sequence(integer(n) + integer(n))),
      ("r and s exchanged", sequence(integer(s) + integer(r))),
      ("r is negated", sequence(integer(ECDSASignature.difference(n, r)) + integer(s))),
      ("r = -1", sequence(ECDSASignature.rawInteger([0xFF]) + integer(s))),
      ("a zero leads r", sequence(ECDSASignature.rawInteger([0] + r) + integer(s))),
      ("a zero leads s", sequence(integer(r) + ECDSASignature.rawInteger([0] + s))),
      ("the length of the sequence in long form", [0x30, 0x81] + signature.dropFirst()),
      ("the sequence is of indefinite length", [0x30, 0x80] + signature.dropFirst(2) + [0, 0]),
      ("a NULL within the sequence", sequence(integer(r) + integer(s) + [0x05, 0x00])),
      ("a NULL after the sequence", signature + [0x05, 0x00]),
      ("a third integer", sequence(integer(r) + integer(s) + integer(one))),
      ("no s", sequence(integer(r))),
      ("no integers", [0x30, 0x00]),
      ("a set instead of a sequence", [0x31] + signature.dropFirst()),
      ("r is an octet string", sequence([0x04] + integer(r).dropFirst() + integer(s))),
      ("r is empty", sequence([0x02, 0x00] + integer(s))),
      ("IEEE P1363 instead of DER", fixed(r) + fixed(s)),
      ("nothing", []),
      ("a zero", [0]),
      ("a length beyond the end", [0x30, 0x46]),
      ("4 GiB of length", [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF] + signature.dropFirst(2)),
      ("a megabyte", [UInt8](repeating: 0x30, count: 1 << 20)),
    ]
    for (name, vector) in vectors {
      #expect(try !verifier.accepts(vector, over: Self.payload), "\(name)")
    }
    // n - s verifies as well: that is ECDSA, which is why a stored signature is compared by record and not by bytes.
    let mirrored = ECDSASignature.der(r: r, s: ECDSASignature.difference(n, s))
    #expect(try verifier.accepts(mirrored, over: Self.payload))
  }

  private func fixed(_ digits: [UInt8]) -> [UInt8] {
    Array(([UInt8](repeating: 0, count: 32) + digits).suffix(32))
  }

  @Test func ed25519() throws {
    let key = try TestKeys.key(.ed25519)
    var signer = try BatchSigner(key)
    var verifier = try SignatureVerifier(try key.publicKey)
    let signature = try signer.signature(over: Self.payload)
    #expect(try verifier.accepts(signature, over: Self.payload))

    // The order of the group, little-endian: s + order is the same scalar, and must not be accepted as another
    // signature.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
    let r = Array(signature[..<32])
    let s = Array(signature[32...])
    let identity: [UInt8] = [1] + [UInt8](repeating: 0, count: 31)
    let vectors: [(String, [UInt8])] = [
      ("s + order", r + ECDSASignature.littleEndianSum(s, order)),
      ("s = order", r + order),
      ("s = 0", r + [UInt8](repeating: 0, count: 32)),
      ("s of all ones", r + [UInt8](repeating: 0xFF, count: 32)),
      ("r is the identity", identity + s),
      ("r = 0", [UInt8](repeating: 0, count: 32) + s),
      ("r is not reduced", [UInt8](repeating: 0xFF, count: 32) + s),
      ("r and s exchanged", s + r),
      ("63 bytes", Array(signature.dropLast())),
      ("65 bytes", signature + [0]),
      ("twice", signature + signature),
      ("nothing", []),
    ]
    for (name, vector) in vectors {
      #expect(try !verifier.accepts(vector, over: Self.payload), "\(name)")
    }
  }

  @Test(arguments: [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0200000000000000000000000000000000000000000000000000000000000000",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  ])
  func ed25519KeyThatIsNoProperPointIsRefused(_ point: String) throws {
    // Of order 1, 2, 4 and 8, then not on the curve, then not reduced.
    let der = hex("302a300506032b6570032100") + hex(point)
    #expect(try publicImportError(der)?.code == .inconsistentKey)
  }

  @Test func rsaPSS() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["genrsa", "-out", "key.pem", "2048"], in: directory)
    try directory.write("payload", Self.payload)
    let key = try PrivateKey(importing: try directory.read("key.pem"))
    var verifier = try SignatureVerifier(try key.publicKey)
    func made(_ options: [String]) throws -> [UInt8] {
      try OpenSSLProgram.run(["dgst", "-sha256", "-sign", "key.pem"] + options + ["payload"], in: directory)
    }
    let pss = ["-sigopt", "rsa_padding_mode:pss"]
    let signature = try made(pss + ["-sigopt", "rsa_pss_saltlen:32"])
    #expect(try verifier.accepts(signature, over: Self.payload))

    let der = try key.publicKey.der
    let modulus = Array(der[33..<33 + 256])
    let vectors: [(String, [UInt8])] = [
      ("PKCS#1 v1.5", try made([])),
      ("a salt of 20 bytes", try made(pss + ["-sigopt", "rsa_pss_saltlen:20"])),
      ("no salt", try made(pss + ["-sigopt", "rsa_pss_saltlen:0"])),
      ("the longest salt", try made(pss + ["-sigopt", "rsa_pss_saltlen:max"])),
      ("MGF1 with SHA-1", try made(pss + ["-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha1"])),
      ("zero", [UInt8](repeating: 0, count: 256)),
      ("one", [UInt8](repeating: 0, count: 255) + [1]),
      ("the modulus", modulus),
      ("all ones", [UInt8](repeating: 0xFF, count: 256)),
      ("255 bytes", Array(signature.dropFirst())),
      ("257 bytes with a leading zero", [0] + signature),
      ("nothing", []),
    ]
    #expect(modulus[0] >= 0x80, "the modulus was cut out of the right place")
    for (name, vector) in vectors {
      #expect(try !verifier.accepts(vector, over: Self.payload), "\(name)")
    }
  }
}
