import Domain
import Foundation
import Testing

@testable import Signing

// Proves that an encrypted key that cannot be opened is answered with the reason: a wrong passphrase whatever garbage
// it yields, an encryption that is not supported, or one that would cost hours, before it has cost anything.
@Suite struct EncryptedKeyErrorTests {
  @Test func encryptionThatIsNotSupported() throws {
    let directory = try TemporaryDirectory()
    try directory.write("key.der", try TestKeys.key(.ecdsaP256).exposedPKCS8())
    let source = ["-inform", "DER", "-in", "key.der", "-passout", "pass:secret"]
    let legacy = ["-provider", "legacy", "-provider", "default"]
    let oldScheme = try OpenSSLProgram.run(["pkcs8", "-topk8", "-v1", "PBE-MD5-DES"] + legacy + source, in: directory)
    #expect(try importError(oldScheme, passphrase: "secret")?.code == .unsupportedEncryption)
    let des = try OpenSSLProgram.run(["ec", "-des"] + legacy + source, in: directory)
    #expect(try importError(des, passphrase: "secret")?.code == .unsupportedEncryption)

    let traditional = String(
      decoding: try OpenSSLProgram.run(["ec", "-aes256"] + source, in: directory), as: UTF8.self)
    let headers = [
      traditional.replacing("AES-256-CBC", with: "ROT-13"), traditional.replacing("AES-256-CBC,", with: "AES-256-CBC;"),
      traditional.replacing("DEK-Info", with: "X-Info"), traditional.replacing("4,ENCRYPTED", with: "4,MIC-ONLY"),
    ]
    for text in headers {
      #expect(try importError(Array(text.utf8), passphrase: "secret")?.code == .unsupportedEncryption)
    }
  }

  @Test func hostileDerivationCostIsRefusedBeforeItIsPaid() throws {
    let directory = try TemporaryDirectory()
    try directory.write("key.der", try TestKeys.key(.ed25519).exposedPKCS8())
    let source = ["-inform", "DER", "-in", "key.der", "-passout", "pass:secret", "-outform", "DER"]
    let file = try OpenSSLProgram.run(["pkcs8", "-topk8", "-iter", "65537"] + source, in: directory)
    // 65537 is the INTEGER 02 03 01 00 01.
    let position = try #require(file.indices.first { file[$0...].starts(with: [0x02, 0x03, 0x01, 0x00, 0x01]) })
    let allowed = grow(file, at: position, by: [0x02, 0x03, 0x01, 0xFF, 0xFF], replacing: 5)
    #expect(try importError(allowed, passphrase: "secret")?.code == .wrongPassphrase, "131071 iterations are allowed")
    // One more than the limit, which would take seconds, and 2^31 - 1, which would take minutes. All lengths around
    // it grow by one.
    for iterations in [[0x00, 0x98, 0x96, 0x81], [0x7F, 0xFF, 0xFF, 0xFF]] as [[UInt8]] {
      let hostile = grow(file, at: position, by: [0x02, 0x04] + iterations, replacing: 5)
      let error = try #require(try importError(hostile, passphrase: "secret"))
      // Before the second, which would take minutes.
      try #require(error.code == .unsupportedEncryption)
      #expect(error.message.contains("\(PassphraseCost.maximumIterations)"))
    }

    let scrypt = try OpenSSLProgram.run(["pkcs8", "-topk8", "-scrypt", "-scrypt_N", "16384"] + source, in: directory)
    let cost = try #require(scrypt.indices.first { scrypt[$0...].starts(with: [0x02, 0x02, 0x40, 0x00]) })
    let costly = grow(scrypt, at: cost, by: [0x02, 0x04, 0x40, 0x00, 0x00, 0x00], replacing: 4)
    let scryptError = try #require(try importError(costly, passphrase: "secret"))
    #expect(scryptError.code == .unsupportedEncryption)
    #expect(scryptError.message.contains("units of scrypt work"))
  }

  /// Replaces an element and lets the short-form lengths of the structures around it grow: all start before it and end
  /// after it.
  private func grow(_ file: [UInt8], at position: Int, by element: [UInt8], replacing count: Int) -> [UInt8] {
    var result = file
    let growth = UInt8(element.count - count)
    var start = 0
    while start < position {
      let isLong = result[start + 1] == 0x81
      let lengthAt = start + (isLong ? 2 : 1)
      let end = lengthAt + 1 + Int(result[lengthAt])
      if end > position, result[start] & 0x20 != 0 {
        result[lengthAt] += growth
        start = lengthAt + 1
      } else {
        start = end
      }
    }
    result.replaceSubrange(position..<position + count, with: element)
    return result
  }

  @Test func manyWrongPassphrasesAreAllCalledWrong() throws {
    // One wrong passphrase in 256 yields valid padding, and garbage that must not be reported as malformed DER.
    let directory = try TemporaryDirectory()
    try directory.write("key.der", try TestKeys.key(.ecdsaP256).exposedPKCS8())
    let source = ["-inform", "DER", "-in", "key.der", "-passout", "pass:secret"]
    let traditional = try OpenSSLProgram.run(["ec", "-aes256"] + source, in: directory)
    let pkcs8 = try OpenSSLProgram.run(["pkcs8", "-topk8", "-iter", "1"] + source, in: directory)
    for attempt in 0..<1500 {
      #expect(try importError(traditional, passphrase: "wrong \(attempt)")?.code == .wrongPassphrase)
      #expect(try importError(pkcs8, passphrase: "wrong \(attempt)")?.code == .wrongPassphrase)
    }
  }
}
