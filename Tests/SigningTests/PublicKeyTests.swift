import Domain
import Signing
import Testing

// Proves that a public key is one value whatever file it came from, that only sound keys become one, and that a wrong
// file is answered with what it is.
@Suite struct PublicKeyTests {
  @Test(arguments: SignatureAlgorithm.allCases)
  func pemAndDERLeadBack(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm).publicKey
    #expect(try PublicKey(importing: Array(key.pem.utf8)) == key)
    #expect(try PublicKey(importing: key.der) == key)
    #expect(try PublicKey(der: key.der.span).hashValue == key.hashValue)
    #expect(key.pem.split(separator: "\n").allSatisfy { $0.count <= 64 })
    let other = try TestKeys.otherKey(algorithm).publicKey
    #expect(other != key)
    #expect(try other.fingerprint != key.fingerprint)
    #expect(key.description == "\(algorithm) \(try key.fingerprint)")
  }

  @Test func compressedPointIsTheSameKey() throws {
    let directory = try TemporaryDirectory()
    let key = try TestKeys.key(.ecdsaP256)
    try directory.write("key.der", try key.exposedPKCS8())
    for form in ["compressed", "hybrid", "uncompressed"] {
      let command = ["pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-ec_conv_form", form]
      let file = try OpenSSLProgram.run(command, in: directory)
      #expect(try PublicKey(importing: file) == key.publicKey, "\(form)")
    }
  }

  @Test func privateKeyIsRefused() throws {
    let directory = try TemporaryDirectory()
    let der = try TestKeys.key(.ecdsaP256).exposedPKCS8()
    try directory.write("key.der", der)
    #expect(try publicImportError(der)?.code == .privateKeyGiven)
    for form in [["pkey"], ["ec"], ["ec", "-outform", "DER"], ["pkcs8", "-topk8", "-passout", "pass:x"]] {
      let file = try OpenSSLProgram.run(form + ["-inform", "DER", "-in", "key.der"], in: directory)
      #expect(try publicImportError(file)?.code == .privateKeyGiven, "\(form)")
    }
  }

  @Test func otherFilesAreRefused() throws {
    let directory = try TemporaryDirectory()
    try directory.write("rsa.der", try TestKeys.key(.rsaPSS2048).exposedPKCS8())
    let rsa = ["rsa", "-inform", "DER", "-in", "rsa.der", "-RSAPublicKey_out"]
    for form in [[], ["-outform", "DER"]] {
      let error = try #require(try publicImportError(try OpenSSLProgram.run(rsa + form, in: directory)))
      #expect(error.code == .unsupportedKeyType)
      #expect(error.message.contains("-pubout"))
    }
    try OpenSSLProgram.run(["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "384.pem"], in: directory)
    let p384 = try OpenSSLProgram.run(["pkey", "-in", "384.pem", "-pubout"], in: directory)
    #expect(try publicImportError(p384)?.code == .wrongCurve)
    try OpenSSLProgram.run(["genpkey", "-algorithm", "x25519", "-out", "x.pem"], in: directory)
    let x25519 = try OpenSSLProgram.run(["pkey", "-in", "x.pem", "-pubout"], in: directory)
    #expect(try publicImportError(x25519)?.code == .unsupportedKeyType)
    let pem = Array(try TestKeys.key(.ed25519).publicKey.pem.utf8)
    #expect(try publicImportError(pem + pem)?.code == .severalKeys)
    #expect(try publicImportError(pem + [0x78])?.code == .trailingData)
    #expect(try publicImportError([])?.code == .malformedPEM)
    #expect(try publicImportError([UInt8](repeating: 0x30, count: 20_000))?.code == .keyTooLarge)
  }

  @Test(arguments: [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048])
  func everyTruncationAndAlterationIsRefusedOrAnotherKey(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm).publicKey
    for count in 0..<key.der.count { #expect(try publicImportError(Array(key.der[..<count])) != nil, "\(count) bytes") }
    #expect(try publicImportError(key.der + [0])?.code == .trailingData)
    var accepted = 0
    for index in key.der.indices {
      var altered = key.der
      altered[index] ^= 4
      guard try publicImportError(altered) == nil else { continue }
      accepted += 1
      #expect(try PublicKey(importing: altered) != key, "byte \(index)")
    }
    // A changed point of P-256 is not on the curve; one of Ed25519 is a valid point once in sixteen times; a changed
    // RSA modulus of the same size cannot be told from another.
    if algorithm == .ecdsaP256 { #expect(accepted == 0) }
  }

  @Test func rsaExponentsAndModuliNoKeyHasAreRefused() throws {
    let der = try TestKeys.key(.rsaPSS2048).publicKey.der
    #expect(der.suffix(5) == [0x02, 0x03, 0x01, 0x00, 0x01], "the exponent is at the end")
    func with(_ exponent: [UInt8]) -> [UInt8] { Array(der.dropLast(3)) + exponent }
    #expect(try publicImportError(with([0x01, 0x00, 0x02]))?.code == .inconsistentKey, "even")
    #expect(try publicImportError(with([0x00, 0x00, 0x01]))?.code == .malformedDER, "not in its shortest form")
    #expect(try publicImportError(with([0xFF, 0xFF, 0xFF]))?.code == .malformedDER, "negative")
    var even = der
    even[der.count - 6] &= 0xFE
    #expect(try publicImportError(even)?.code == .inconsistentKey, "an even modulus")
  }
}
