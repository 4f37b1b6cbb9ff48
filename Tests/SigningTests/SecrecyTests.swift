internal import COpenSSL
import Domain
import Testing

@testable import Signing

// Proves that private key bytes turn up nowhere they should not: not in errors or descriptions, and not in the memory
// of the process after everything that held them is gone. Also that OpenSSL's queue of errors is empty after every
// failure.
@Suite(.serialized) struct SecrecyTests {
  /// What a failure says, in every way in which it can be said.
  private func said(_ error: SigningError) -> String {
    var dumped = ""
    dump(error, to: &dumped)
    return "\(error) \(String(reflecting: error)) \(dumped)"
  }

  @Test func errorsAndDescriptionsHoldNoSecrets() throws {
    let key = try TestKeys.key(.ecdsaP256)
    let der = try key.exposedPKCS8()
    let directory = try TemporaryDirectory()
    try directory.write("key.der", der)
    let pem = try OpenSSLProgram.run(["pkey", "-inform", "DER", "-in", "key.der"], in: directory)
    let passphrase = "hunter2-hunter2"
    let encrypted = try OpenSSLProgram.run(
      ["pkcs8", "-topk8", "-inform", "DER", "-in", "key.der", "-passout", "pass:\(passphrase)"], in: directory)
    let scalar = der[36..<68]
    let base64Lines = String(decoding: pem, as: UTF8.self).split(separator: "\n").dropFirst().dropLast()

    var messages: [String] = []
    for count in stride(from: 1, to: der.count, by: 7) {
      if let error = try importError(Array(der[..<count])) { messages.append(said(error)) }
    }
    for count in stride(from: 1, to: pem.count, by: 5) {
      if let error = try importError(Array(pem[..<count])) { messages.append(said(error)) }
    }
    for garbage in [der, pem, Array("x".utf8)] {
      for file in [der + garbage, pem + garbage] {
        if let error = try importError(file) { messages.append(said(error)) }
      }
    }
    if let error = try importError(encrypted, passphrase: passphrase + "x") { messages.append(said(error)) }
    if let error = try publicImportError(pem) { messages.append(said(error)) }
    let kek = try KeyEncryptionKeyTests.makeKEK()
    var dumped = ""
    dump(kek, to: &dumped)
    messages += ["\(kek)", String(reflecting: kek), dumped, "\(try key.publicKey)", "\(kek.importKey.publicKey)"]
    let wrapped = try kek.wrap(try key.pkcs8(), keyID: KeyEncryptionKeyTests.keyID, algorithm: .ecdsaP256)
    messages.append("\(wrapped)")

    #expect(messages.count > 50)
    let scalarHex = scalar.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    for message in messages {
      for line in base64Lines { #expect(!message.contains(line.prefix(12))) }
      for start in stride(from: 0, to: 56, by: 8) {
        let from = scalarHex.index(scalarHex.startIndex, offsetBy: start)
        #expect(!message.lowercased().contains(scalarHex[from...].prefix(8)))
      }
      #expect(!message.contains(scalar.prefix(4).map(String.init).joined(separator: ", ")))
      #expect(!message.contains(passphrase))
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func nothingIsLeftInMemory(_ algorithm: SignatureAlgorithm) throws {
    let needle = try MemoryNeedle.afterUse(algorithm)
    let found = try needle.occurrences()
    #expect(found.isEmpty, "left at \(found)")
  }

  @Test func scanFindsWhatIsThere() throws {
    // The scan must be able to fail: while a key is alive its bytes are found.
    let key = try PrivateKey.generate(.ecdsaP256)
    let needle = try MemoryNeedle(of: key)
    #expect(try !needle.occurrences().isEmpty)
    #expect(key.algorithm == .ecdsaP256)
  }

  @Test func errorQueueIsEmptyAfterEveryFailure() throws {
    func isEmpty(_ body: () throws -> Void) -> Bool {
      ERR_clear_error()
      do { try body() } catch { _ = error }
      return ERR_peek_error() == 0
    }
    let ec = try TestKeys.key(.ecdsaP256)
    let publicKey = try ec.publicKey
    let rsaPublic = try TestKeys.key(.rsaPSS2048).publicKey
    var offCurve = publicKey.der
    offCurve[90] ^= 1
    let directory = try TemporaryDirectory()
    try directory.write("key.der", try ec.exposedPKCS8())
    let source = ["-inform", "DER", "-in", "key.der", "-passout", "pass:secret"]
    let encrypted = try OpenSSLProgram.run(["pkcs8", "-topk8"] + source, in: directory)
    let traditional = try OpenSSLProgram.run(["ec", "-aes256"] + source, in: directory)
    let kek = try KeyEncryptionKeyTests.makeKEK()
    var wrapped = try kek.wrap(try ec.pkcs8(), keyID: KeyEncryptionKeyTests.keyID, algorithm: .ecdsaP256).bytes
    wrapped[50] ^= 1

    #expect(isEmpty { _ = try publicKey.accepts([1, 2, 3], over: []) })
    #expect(isEmpty { _ = try publicKey.accepts([], over: []) })
    #expect(isEmpty { _ = try rsaPublic.accepts([UInt8](repeating: 0xFF, count: 256), over: []) })
    #expect(isEmpty { _ = try rsaPublic.accepts([1], over: []) })
    #expect(isEmpty { _ = try PublicKey(importing: offCurve) })
    for file in [encrypted, traditional] {
      #expect(isEmpty { _ = try PrivateKey(importing: file, passphrase: "wrong") })
      #expect(isEmpty { _ = try PrivateKey(importing: Array(file.prefix(file.count / 2)), passphrase: "secret") })
      #expect(isEmpty { _ = try PrivateKey(importing: file, passphrase: "secret") })
    }
    #expect(
      isEmpty {
        _ = try kek.unwrap(
          try WrappedKey(bytes: wrapped), keyID: KeyEncryptionKeyTests.keyID, algorithm: .ecdsaP256)
      })
    for algorithm in SignatureAlgorithm.allCases {
      let key = try TestKeys.key(algorithm)
      #expect(isEmpty { _ = try PrivateKey(importing: try key.exposedPKCS8()) })
    }
  }
}
