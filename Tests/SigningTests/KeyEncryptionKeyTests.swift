import Domain
import Testing

@testable import Signing

// Proves that a wrapped key opens with the same key-encryption key, key id and algorithm and with nothing else, that
// every altered byte is noticed, and that the encoding is the documented one, by a vector made with another
// implementation (Python's hashlib and cryptography).
@Suite struct KeyEncryptionKeyTests {
  static let keyID = KeyID(rawValue: 0x0123_4567_89ab_cdef)
  static let otherKeyID = KeyID(rawValue: 0x0123_4567_89ab_cdee)

  static func makeKEK() throws -> KeyEncryptionKey {
    try KeyEncryptionKey(root: SecretBytes(randomCount: KeyEncryptionKey.byteCount))
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func wrappedKeysOpenAgain(_ algorithm: SignatureAlgorithm) throws {
    let kek = try Self.makeKEK()
    let key = try TestKeys.key(algorithm)
    let wrapped = try kek.wrap(try key.pkcs8(), keyID: Self.keyID, algorithm: algorithm)
    #expect(wrapped.kekID == kek.id)
    #expect(wrapped.bytes.count == (try key.exposedPKCS8().count) + WrappedKey.overheadBytes)
    let stored = try WrappedKey(bytes: wrapped.bytes)
    #expect(stored == wrapped)
    let opened = try kek.unwrap(stored, keyID: Self.keyID, algorithm: algorithm)
    #expect(try PrivateKey(trustedPKCS8: opened).publicKey == key.publicKey)
  }

  @Test func theSameKeyIsNeverWrappedTheSameWay() throws {
    let kek = try Self.makeKEK()
    let secret = try SecretBytes([1, 2, 3])
    let first = try kek.wrap(secret, keyID: Self.keyID, algorithm: .ed25519)
    #expect(try kek.wrap(secret, keyID: Self.keyID, algorithm: .ed25519) != first)
  }

  @Test func emptyAndLargestSecrets() throws {
    let kek = try Self.makeKEK()
    for count in [0, 1, PrivateKey.maximumEncodedBytes] {
      let secret = try SecretBytes(randomCount: count)
      let wrapped = try kek.wrap(secret, keyID: Self.keyID, algorithm: .ed25519)
      #expect(try kek.unwrap(wrapped, keyID: Self.keyID, algorithm: .ed25519).isEqual(to: secret))
    }
    let tooLarge = try SecretBytes(randomCount: PrivateKey.maximumEncodedBytes + 1)
    let error = try signingError { _ = try kek.wrap(tooLarge, keyID: Self.keyID, algorithm: .ed25519) }
    #expect(error?.code == .keyTooLarge)
  }

  @Test func everyAlteredBitIsNoticed() throws {
    let kek = try Self.makeKEK()
    let wrapped = try kek.wrap(
      try TestKeys.key(.ecdsaP256).pkcs8(), keyID: Self.keyID, algorithm: .ecdsaP256)
    for index in wrapped.bytes.indices {
      for bit in 0..<8 {
        var altered = wrapped.bytes
        altered[index] ^= 1 << UInt8(bit)
        let error = try signingError {
          _ = try kek.unwrap(try WrappedKey(bytes: altered), keyID: Self.keyID, algorithm: .ecdsaP256)
        }
        let expected: SigningError.Code =
          switch index {
          case 0: .malformedCiphertext
          case 1...8: .wrongKeyEncryptionKey
          default: .authenticationFailed
          }
        #expect(error?.code == expected, "byte \(index)")
      }
    }
  }

  @Test func everyTruncationIsNoticed() throws {
    let kek = try Self.makeKEK()
    let wrapped = try kek.wrap(try SecretBytes([1, 2, 3]), keyID: Self.keyID, algorithm: .ed25519)
    for count in 0..<wrapped.bytes.count {
      let error = try signingError {
        _ = try kek.unwrap(
          try WrappedKey(bytes: Array(wrapped.bytes[..<count])), keyID: Self.keyID, algorithm: .ed25519)
      }
      let expected: SigningError.Code =
        count < WrappedKey.overheadBytes ? .malformedCiphertext : .authenticationFailed
      #expect(error?.code == expected, "\(count) bytes")
    }
    let longer = try signingError {
      _ = try kek.unwrap(try WrappedKey(bytes: wrapped.bytes + [0]), keyID: Self.keyID, algorithm: .ed25519)
    }
    #expect(longer?.code == .authenticationFailed)
    let huge = [UInt8](repeating: 1, count: PrivateKey.maximumEncodedBytes + WrappedKey.overheadBytes + 1)
    #expect(try signingError { _ = try WrappedKey(bytes: huge) }?.code == .malformedCiphertext)
  }

  @Test func anotherKeyOrAlgorithmIsNoticed() throws {
    let kek = try Self.makeKEK()
    let wrapped = try kek.wrap(try SecretBytes([1]), keyID: Self.keyID, algorithm: .rsaPSS2048)
    let otherID = try signingError { _ = try kek.unwrap(wrapped, keyID: Self.otherKeyID, algorithm: .rsaPSS2048) }
    #expect(otherID?.code == .authenticationFailed)
    #expect(otherID?.message.contains(Self.otherKeyID.description) == true)
    for algorithm in SignatureAlgorithm.allCases where algorithm != .rsaPSS2048 {
      let error = try signingError { _ = try kek.unwrap(wrapped, keyID: Self.keyID, algorithm: algorithm) }
      #expect(error?.code == .authenticationFailed)
    }
  }

  @Test func anotherKeyEncryptionKeyIsNamed() throws {
    let (kek, other) = (try Self.makeKEK(), try Self.makeKEK())
    let wrapped = try kek.wrap(try SecretBytes([1]), keyID: Self.keyID, algorithm: .ed25519)
    let error = try #require(
      try signingError { _ = try other.unwrap(wrapped, keyID: Self.keyID, algorithm: .ed25519) })
    #expect(error.code == .wrongKeyEncryptionKey)
    #expect(error.message.contains(kek.id.description))
    #expect(error.message.contains(other.id.description))
  }

  @Test func matchesAnotherImplementation() throws {
    let kek = try KeyEncryptionKey(root: SecretBytes((0x40..<0x60).map { UInt8($0) }))
    #expect(kek.id.description == "8a60491293d73dd8")
    #expect(kek.importKey.publicKey.bytes == hex("9919954c77ecccde1cae4f10816430c3e5eca9b41206095e6dac682ca9af132c"))
    let wrapped = try WrappedKey(
      bytes: hex(
        """
        018a60491293d73dd832333435363738393a3b3c3dbd78d4843028c4743d474f36040ac77189943f2319d093e67c6601b2c181
        72beea974ebbea0421784854bdca3837
        """))
    let opened = try kek.unwrap(wrapped, keyID: Self.keyID, algorithm: .ecdsaP256)
    #expect(opened.exposed == Array("not a key, but sealed like one".utf8))
  }

  @Test func oneValueServesManyThreads() async throws {
    let kek = try Self.makeKEK()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for task in 0..<16 {
        group.addTask {
          let secret = try SecretBytes(randomCount: 100 + task)
          let wrapped = try kek.wrap(secret, keyID: Self.keyID, algorithm: .ed25519)
          return try kek.unwrap(wrapped, keyID: Self.keyID, algorithm: .ed25519).isEqual(to: secret)
        }
      }
      for try await isEqual in group { #expect(isEqual) }
    }
  }

  @Test func secretsThatNobodyDrewAtRandomAreRefused() throws {
    for root in [[UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xFF, count: 32), [], [1, 2, 3]] {
      let error = try signingError { _ = try KeyEncryptionKey(root: SecretBytes(root)) }
      #expect(error?.code == .malformedKeyEncryptionKey)
    }
  }
}
