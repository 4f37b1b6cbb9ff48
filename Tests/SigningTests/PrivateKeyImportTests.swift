import Domain
import Signing
import Testing

// Proves that a private key can be brought along in every form that the `openssl` program writes, and that whatever the
// form was, what comes out is the same canonical PKCS#8 and the same public key. The files are made by the program.
@Suite struct PrivateKeyImportTests {
  @Test func everyFormOfAnECKey() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["ecparam", "-name", "prime256v1", "-genkey", "-out", "parameters+sec1.pem"], in: directory)
    let source = ["-in", "parameters+sec1.pem"]
    let canonical = try OpenSSLProgram.run(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"] + source, in: directory)
    let forms: [(String, [String])] = [
      ("PKCS#8 PEM", ["pkey"]),
      ("PKCS#8 DER", ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"]),
      ("SEC 1 PEM", ["ec"]),
      ("SEC 1 DER", ["ec", "-outform", "DER"]),
      ("SEC 1 without the public key", ["ec", "-no_public"]),
      ("SEC 1 with a compressed point", ["ec", "-conv_form", "compressed"]),
      ("SEC 1 with a hybrid point", ["ec", "-conv_form", "hybrid"]),
      ("PKCS#8 with a compressed point", ["pkey", "-ec_conv_form", "compressed"]),
    ]
    try check(forms, source, in: directory, canonical: canonical, algorithm: .ecdsaP256)
    let key = try PrivateKey(importing: try directory.read("parameters+sec1.pem"))
    #expect(try key.exposedPKCS8() == canonical, "EC PARAMETERS before the key is not in the way")
  }

  @Test func everyFormOfAnEd25519Key() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], in: directory)
    let source = ["-in", "key.pem"]
    let canonical = try OpenSSLProgram.run(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"] + source, in: directory)
    let forms: [(String, [String])] = [
      ("PKCS#8 PEM", ["pkey"]), ("PKCS#8 DER", ["pkey", "-outform", "DER"]),
    ]
    try check(forms, source, in: directory, canonical: canonical, algorithm: .ed25519)
    // Version 2 with the public key (RFC 8410, 10.3), which this openssl does not write.
    let publicKey = try PrivateKey(importing: canonical).publicKey.der.suffix(32)
    let version2 = hex("3051020101300506032b657004220420") + canonical.suffix(32) + hex("812100") + publicKey
    #expect(try PrivateKey(importing: version2).exposedPKCS8() == canonical)
  }

  @Test(arguments: [SignatureAlgorithm.rsaPSS2048, .rsaPSS3072, .rsaPSS4096])
  func everyFormOfAnRSAKey(_ algorithm: SignatureAlgorithm) throws {
    let directory = try TemporaryDirectory()
    let canonical = try TestKeys.key(algorithm).exposedPKCS8()
    try directory.write("key.der", canonical)
    let source = ["-inform", "DER", "-in", "key.der"]
    let forms: [(String, [String])] = [
      ("PKCS#8 PEM", ["pkey"]),
      ("PKCS#8 DER", ["pkey", "-outform", "DER"]),
      ("PKCS#1 PEM", ["pkey", "-traditional"]),
      ("PKCS#1 DER", ["rsa", "-traditional", "-outform", "DER"]),
    ]
    try check(forms, source, in: directory, canonical: canonical, algorithm: algorithm)
  }

  @Test func everyKindOfEncryption() throws {
    let directory = try TemporaryDirectory()
    let canonical = try TestKeys.key(.ecdsaP256).exposedPKCS8()
    try directory.write("key.der", canonical)
    let source = ["-inform", "DER", "-in", "key.der", "-passout", "pass:correct horse"]
    let forms: [(String, [String])] = [
      ("PBES2 with AES-256", ["pkcs8", "-topk8"]),
      ("PBES2 in DER", ["pkcs8", "-topk8", "-outform", "DER"]),
      ("PBES2 with SHA-512", ["pkcs8", "-topk8", "-v2prf", "hmacWithSHA512"]),
      ("PBES2 with triple DES", ["pkcs8", "-topk8", "-v2", "des3"]),
      ("600,000 iterations", ["pkcs8", "-topk8", "-iter", "600000"]),
      ("scrypt", ["pkcs8", "-topk8", "-scrypt"]),
      ("PKCS#12's own", ["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"]),
      ("traditional with AES-256", ["ec", "-aes256"]),
      ("traditional with triple DES", ["ec", "-des3"]),
    ]
    for (name, command) in forms {
      let file = try OpenSSLProgram.run(command + source, in: directory)
      #expect(try importError(file)?.code == .passphraseRequired, "\(name)")
      #expect(try importError(file, passphrase: "correct horsf")?.code == .wrongPassphrase, "\(name)")
      #expect(try importError(file, passphrase: "")?.code == .wrongPassphrase, "\(name)")
      #expect(try importError(file, passphrase: "correct horse") == nil, "\(name)")
      #expect(try PrivateKey(importing: file, passphrase: "correct horse").exposedPKCS8() == canonical, "\(name)")
    }
  }

  @Test func emptyAndLongPassphrases() throws {
    let directory = try TemporaryDirectory()
    let canonical = try TestKeys.key(.ed25519).exposedPKCS8()
    try directory.write("key.der", canonical)
    let long = String(repeating: "x", count: 1000)
    for passphrase in ["", long, "пароль 🔑"] {
      let command = ["pkcs8", "-topk8", "-inform", "DER", "-in", "key.der", "-passout", "pass:\(passphrase)"]
      let file = try OpenSSLProgram.run(command, in: directory)
      #expect(try importError(file)?.code == .passphraseRequired)
      #expect(try PrivateKey(importing: file, passphrase: passphrase).exposedPKCS8() == canonical)
      let tooLong = String(repeating: "x", count: 1025)
      #expect(try importError(file, passphrase: tooLong)?.code == .wrongPassphrase)
    }
  }

  @Test func aPassphraseForAnUnencryptedKeyIsNotLookedAt() throws {
    let canonical = try TestKeys.key(.ed25519).exposedPKCS8()
    #expect(try PrivateKey(importing: canonical, passphrase: "unused").exposedPKCS8() == canonical)
  }

  @Test func windowsLineEndsAndExplanationsAreTolerated() throws {
    let directory = try TemporaryDirectory()
    try OpenSSLProgram.run(["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], in: directory)
    let text = String(decoding: try directory.read("key.pem"), as: UTF8.self)
    let canonical = try PrivateKey(importing: Array(text.utf8)).exposedPKCS8()
    let variants = [
      text.replacing("\n", with: "\r\n"), "\u{FEFF}\n" + text, "Bag Attributes\n  friendlyName: x\n" + text,
      text + "\n \t\r\n\n", String(text.dropLast()),
    ]
    for variant in variants { #expect(try PrivateKey(importing: Array(variant.utf8)).exposedPKCS8() == canonical) }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func exportAndTrustedImportLeadBack(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm)
    let again = try PrivateKey(trustedPKCS8: try key.pkcs8())
    #expect(again.algorithm == algorithm)
    #expect(try again.exposedPKCS8() == key.exposedPKCS8())
    #expect(try again.publicKey == key.publicKey)
    #expect(try PrivateKey(importing: try key.exposedPKCS8()).publicKey == key.publicKey)
  }

  private func check(
    _ forms: [(String, [String])], _ source: [String], in directory: TemporaryDirectory, canonical: [UInt8],
    algorithm: SignatureAlgorithm
  ) throws {
    let publicKey = try PrivateKey(importing: canonical).publicKey
    for (name, command) in forms {
      let key = try PrivateKey(importing: try OpenSSLProgram.run(command + source, in: directory))
      #expect(key.algorithm == algorithm, "\(name)")
      #expect(try key.exposedPKCS8() == canonical, "\(name)")
      #expect(try key.publicKey == publicKey, "\(name)")
    }
  }
}
