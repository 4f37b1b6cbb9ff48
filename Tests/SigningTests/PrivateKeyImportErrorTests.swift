import Domain
import Foundation
import Signing
import Testing

// Proves that a file that is no usable private key is answered with the code and the remedy for what is wrong with it.
// The files are made by the `openssl` program, or from its files by damaging them.
@Suite struct PrivateKeyImportErrorTests {
  @Test func otherCurvesAreNamed() throws {
    let directory = try TemporaryDirectory()
    for (curve, name) in [("secp384r1", "P-384"), ("secp521r1", "P-521"), ("secp256k1", "secp256k1")] {
      try OpenSSLProgram.run(["ecparam", "-name", curve, "-genkey", "-noout", "-out", "sec1.pem"], in: directory)
      for command in [["ec"], ["pkey"], ["pkey", "-outform", "DER"]] {
        let file = try OpenSSLProgram.run(command + ["-in", "sec1.pem"], in: directory)
        let error = try #require(try importError(file))
        #expect(error.code == .wrongCurve)
        #expect(error.message.contains(name))
        #expect(error.kind == .caller)
      }
    }
    try OpenSSLProgram.run(["ecparam", "-name", "brainpoolP256r1", "-genkey", "-out", "brain.pem"], in: directory)
    let brainpool = try #require(try importError(try directory.read("brain.pem")))
    #expect(brainpool.code == .wrongCurve)
    #expect(brainpool.message.contains("1.3.36.3.3.2.8.1.1.7"))
  }

  @Test func explicitCurveParametersAreRefused() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["ecparam", "-name", "prime256v1", "-genkey", "-out", "key.pem"], in: directory)
    for form in [["ec", "-param_enc", "explicit"], ["pkey", "-ec_param_enc", "explicit"]] {
      let file = try OpenSSLProgram.run(form + ["-in", "key.pem"], in: directory)
      let error = try #require(try importError(file))
      #expect(error.code == .wrongCurve)
      #expect(error.message.contains("named_curve"))
    }
  }

  @Test(arguments: [512, 1024, 2047, 2056])
  func rsaKeysOfOtherSizesAreRefused(_ bits: Int) throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["genrsa", "-out", "key.pem", "\(bits)"], in: directory)
    let error = try #require(try importError(try directory.read("key.pem")))
    #expect(error.code == .unsupportedKeySize)
    #expect(error.message.contains("\(bits) bits"))
    #expect(error.message.contains("2048, 3072 or 4096"))
    let publicFile = try OpenSSLProgram.run(["pkey", "-in", "key.pem", "-pubout"], in: directory)
    #expect(try publicImportError(publicFile)?.code == .unsupportedKeySize)
  }

  @Test func otherKindsOfKeyAreNamed() throws {
    let directory = try TemporaryDirectory()
    let kinds: [([String], String)] = [
      (["-algorithm", "x25519"], "X25519"), (["-algorithm", "x448"], "X448"), (["-algorithm", "ed448"], "Ed448"),
      (["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], "PSS"),
      (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3"], "two primes"),
    ]
    for (options, name) in kinds {
      try OpenSSLProgram.run(["genpkey", "-out", "key.pem"] + options, in: directory)
      let error = try #require(try importError(try directory.read("key.pem")))
      #expect(error.code == .unsupportedKeyType, "\(name)")
      #expect(error.message.contains(name), "\(error)")
    }
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    let error = try #require(try importError(Array(openssh.utf8)))
    #expect(error.code == .unsupportedKeyType)
    #expect(error.message.contains("ssh-keygen"))
  }

  @Test func somethingElseThanAPrivateKeyIsNamed() throws {
    let directory = try TemporaryDirectory()
    for algorithm in [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048] {
      try directory.write("key.der", try TestKeys.key(algorithm).exposedPKCS8())
      let source = ["-inform", "DER", "-in", "key.der"]
      let publicPEM = try OpenSSLProgram.run(["pkey", "-pubout"] + source, in: directory)
      let publicDER = try OpenSSLProgram.run(["pkey", "-pubout", "-outform", "DER"] + source, in: directory)
      #expect(try importError(publicPEM)?.code == .publicKeyGiven)
      #expect(try importError(publicDER)?.code == .publicKeyGiven)

      try OpenSSLProgram.run(["pkey", "-out", "key.pem"] + source, in: directory)
      let request = ["req", "-new", "-key", "key.pem", "-subj", "/CN=test"]
      for command in [request, request + ["-x509"]] {
        for form in [[], ["-outform", "DER"]] {
          let file = try OpenSSLProgram.run(command + form, in: directory)
          #expect(try importError(file)?.code == .certificateGiven, "\(command + form)")
          #expect(try publicImportError(file)?.code == .certificateGiven, "\(command + form)")
        }
      }
    }
    try directory.write("key.der", try TestKeys.key(.rsaPSS2048).exposedPKCS8())
    let rsaPublic = ["rsa", "-inform", "DER", "-in", "key.der", "-RSAPublicKey_out"]
    for form in [[], ["-outform", "DER"]] {
      #expect(try importError(try OpenSSLProgram.run(rsaPublic + form, in: directory))?.code == .publicKeyGiven)
    }
  }

  @Test func pkcs12IsNamed() throws {
    let directory = try TemporaryDirectory()
    try directory.write("key.der", try TestKeys.key(.ecdsaP256).exposedPKCS8())
    try OpenSSLProgram.run(["pkey", "-inform", "DER", "-in", "key.der", "-out", "key.pem"], in: directory)
    let certificate = ["req", "-new", "-x509", "-key", "key.pem", "-subj", "/CN=test", "-out", "cert.pem"]
    try OpenSSLProgram.run(certificate, in: directory)
    let export = ["pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-passout", "pass:x"]
    let error = try #require(try importError(try OpenSSLProgram.run(export, in: directory)))
    #expect(error.code == .unsupportedKeyType)
    #expect(error.message.contains("PKCS#12"))
  }

  @Test func severalKeysAndOtherBlocks() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], in: directory)
    let key = try directory.read("key.pem")
    let publicKey = try OpenSSLProgram.run(["pkey", "-in", "key.pem", "-pubout"], in: directory)
    let certificate = try OpenSSLProgram.run(
      ["req", "-new", "-x509", "-key", "key.pem", "-subj", "/CN=test"], in: directory)
    let two = try #require(try importError(key + key))
    #expect(two.code == .severalKeys)
    #expect(two.message.contains("2 private keys"))
    for bundle in [key + certificate, certificate + key, key + publicKey] {
      #expect(try importError(bundle)?.code == .trailingData)
    }
    #expect(try importError(Array(repeating: key, count: 17).flatMap { $0 })?.code == .malformedPEM)
    let parameters = try OpenSSLProgram.run(["ecparam", "-name", "prime256v1"], in: directory)
    #expect(try importError(parameters)?.code == .malformedPEM)
  }

  @Test func trailingGarbage() throws {
    let directory = try TemporaryDirectory()
    for algorithm in [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048] {
      let der = try TestKeys.key(algorithm).exposedPKCS8()
      try directory.write("key.der", der)
      for garbage in [[0], [0x0A], der] {
        let error = try #require(try importError(der + garbage))
        #expect(error.code == .trailingData)
        #expect(error.message.contains("\(garbage.count) bytes follow"))
      }
      let pem = try OpenSSLProgram.run(["pkey", "-inform", "DER", "-in", "key.der"], in: directory)
      for garbage in ["x", "\n\nsee you", "-----END PRIVATE KEY-----"] {
        #expect(try importError(pem + Array(garbage.utf8))?.code == .trailingData, "\(garbage)")
      }
      // Within the block: the base64 of the key followed by that of a zero.
      let block = Data(der + [0]).base64EncodedString(options: .lineLength64Characters)
      let text = "-----BEGIN PRIVATE KEY-----\n\(block)\n-----END PRIVATE KEY-----\n"
      #expect(try importError(Array(text.utf8))?.code == .trailingData)
    }
  }

  @Test func damagedPEM() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], in: directory)
    let text = String(decoding: try directory.read("key.pem"), as: UTF8.self)
    let end = "-----END PRIVATE KEY-----\n"
    let damaged: [(String, String)] = [
      ("nothing", ""), ("a letter", "Dear Sir"), ("only the first line", "-----BEGIN PRIVATE KEY-----\n"),
      ("an empty block", "-----BEGIN PRIVATE KEY-----\n" + end),
      ("no last line", text.replacing(end, with: "")),
      ("another label at the end", text.replacing("END PRIVATE", with: "END PUBLIC")),
      ("a label without dashes", text.replacing("KEY-----\n", with: "KEY\n")),
      ("no label", text.replacing("PRIVATE KEY", with: "")),
      ("a character that is not base64", text.replacing("\nM", with: "\n*M")),
      ("a character too few", text.replacing("\nM", with: "\n")),
      ("a block in a block", "-----BEGIN PRIVATE KEY-----\n" + text),
    ]
    for (name, text) in damaged {
      let error = try #require(try importError(Array(text.utf8)), "\(name)")
      #expect(error.code == .malformedPEM, "\(name): \(error)")
    }
    #expect(try importError([0xFF, 0xFE, 0x00])?.code == .malformedPEM)
  }

  @Test func labelMustAgreeWithTheContents() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sec1.pem"], in: directory)
    let sec1 = String(decoding: try directory.read("sec1.pem"), as: UTF8.self)
    let relabelled = [
      sec1.replacing("EC PRIVATE KEY", with: "PRIVATE KEY"), sec1.replacing("EC PRIVATE KEY", with: "RSA PRIVATE KEY"),
      sec1.replacing("EC PRIVATE KEY", with: "ENCRYPTED PRIVATE KEY"),
    ]
    for text in relabelled { #expect(try importError(Array(text.utf8), passphrase: "x")?.code == .malformedDER) }
  }

  @Test func tooLargeInputIsNotLookedAt() throws {
    let error = try #require(try importError([UInt8](repeating: 0x30, count: PrivateKey.maximumEncodedBytes + 1)))
    #expect(error.code == .keyTooLarge)
    #expect(error.message.contains("16385"))
  }

  @Test func partsThatDoNotBelongTogether() throws {
    // The public point of another key, a point that is not on the curve, and scalars out of range.
    let ec = try TestKeys.key(.ecdsaP256).exposedPKCS8()
    let otherPoint = try TestKeys.otherKey(.ecdsaP256).exposedPKCS8().suffix(65)
    #expect(try importError(ec.dropLast(65) + otherPoint)?.code == .inconsistentKey)
    var offCurve = ec
    offCurve[offCurve.count - 1] ^= 1
    #expect(try importError(offCurve)?.code == .inconsistentKey)
    for scalar in [
      [UInt8](repeating: 0, count: 32), NegativeSignatureTests.p256Order, [UInt8](repeating: 255, count: 32),
    ] {
      #expect(try importError(Array(ec[..<36]) + scalar + ec[68...])?.code == .inconsistentKey)
    }
    // An Ed25519 key of version 2 with another public key.
    let seed = try TestKeys.key(.ed25519).exposedPKCS8().suffix(32)
    let other = try TestKeys.otherKey(.ed25519).publicKey.der.suffix(32)
    let version2 = hex("3051020101300506032b657004220420") + seed + hex("812100") + other
    #expect(try importError(version2)?.code == .inconsistentKey)
    // RSA numbers with one bit changed: each of the eight has its middle within this range or the next.
    let rsa = try TestKeys.key(.rsaPSS2048).exposedPKCS8()
    for index in stride(from: 60, to: rsa.count - 4, by: 61) {
      var altered = rsa
      altered[index] ^= 1
      #expect(try importError(altered) != nil, "byte \(index)")
    }
  }

  @Test(arguments: [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048])
  func everyTruncationIsRefused(_ algorithm: SignatureAlgorithm) throws {
    let der = try TestKeys.key(algorithm).exposedPKCS8()
    for count in 0..<der.count {
      let error = try #require(try importError(Array(der[..<count])), "\(count) bytes")
      #expect(error.code == (count == 0 ? .malformedPEM : .malformedDER), "\(count) bytes")
    }
  }

  @Test(arguments: [SignatureAlgorithm.ecdsaP256, .ed25519])
  func everyAlteredByteIsRefusedOrLeadsToASoundKey(_ algorithm: SignatureAlgorithm) throws {
    let der = try TestKeys.key(algorithm).exposedPKCS8()
    var same = 0
    for index in der.indices {
      for bit in 0..<8 {
        var altered = der
        altered[index] ^= 1 << UInt8(bit)
        guard try importError(altered) == nil else { continue }
        let exported = try PrivateKey(importing: altered).exposedPKCS8()
        if exported == der {
          same += 1
        } else {
          // Ed25519 seeds may be anything; nothing else may be.
          #expect(algorithm == .ed25519 && index >= 16 && exported == altered, "byte \(index), bit \(bit)")
        }
      }
    }
    // The other version of PKCS#8, and for EC the hybrid form of the same point.
    #expect((1...2).contains(same))
  }
}
