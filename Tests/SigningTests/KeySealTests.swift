import Domain
import Testing

@testable import Signing

// Proves that a sealed key opens for its recipient and purpose and for no other, that every altered byte is noticed,
// that public keys which yield no secret are refused, and that the construction is the documented one, by vectors made
// with another implementation (Python's hashlib and cryptography).
@Suite struct KeySealTests {
  static let lease = SealPurpose.lease(KeyEncryptionKeyTests.keyID, Epoch(rawValue: 7))

  @Test(arguments: SignatureAlgorithm.allCases)
  func leasedKeysArriveAndSign(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm)
    let recipient = try LeaseRecipient()
    let sealed = try recipient.publicKey.seal(try key.pkcs8(), for: Self.lease)
    #expect(sealed.count == (try key.exposedPKCS8().count) + KeySeal.overheadBytes)
    let received = try PrivateKey(trustedPKCS8: try recipient.open(sealed.span, for: Self.lease))
    var signer = try BatchSigner(received)
    #expect(try key.publicKey.accepts(try signer.signature(over: [1, 2]), over: [1, 2]))
    let whole = try recipient.publicKey.seal(key, for: Self.lease)
    #expect(try recipient.open(whole.span, for: Self.lease).exposed == key.exposedPKCS8())
  }

  @Test func theSameKeyIsNeverSealedTheSameWay() throws {
    let recipient = try LeaseRecipient().publicKey
    let secret = try SecretBytes([1, 2, 3])
    let first = try recipient.seal(secret, for: Self.lease)
    let second = try recipient.seal(secret, for: Self.lease)
    #expect(first[1..<33] != second[1..<33], "each message has an ephemeral key of its own")
    #expect(first[33..<57] != second[33..<57])
  }

  @Test func anotherRecipientCannotOpen() throws {
    let recipient = try LeaseRecipient()
    let other = try LeaseRecipient()
    let sealed = try recipient.publicKey.seal(try SecretBytes([1, 2, 3]), for: Self.lease)
    #expect(try signingError { _ = try other.open(sealed.span, for: Self.lease) }?.code == .authenticationFailed)
    #expect(try recipient.open(sealed.span, for: Self.lease).exposed == [1, 2, 3])
  }

  @Test func anotherPurposeDoesNotOpen() throws {
    let recipient = try LeaseRecipient()
    let purposes: [SealPurpose] =
      [
        Self.lease, .lease(KeyEncryptionKeyTests.keyID, Epoch(rawValue: 8)),
        .lease(KeyEncryptionKeyTests.keyID, Epoch(rawValue: 7 << 8)),
        .lease(KeyEncryptionKeyTests.otherKeyID, Epoch(rawValue: 7)),
      ] + SignatureAlgorithm.allCases.map { .keyImport($0) }
    for purpose in purposes {
      let sealed = try recipient.publicKey.seal(try SecretBytes([9]), for: purpose)
      for stated in purposes {
        let error = try signingError { _ = try recipient.open(sealed.span, for: stated) }
        #expect(error?.code == (stated == purpose ? nil : .authenticationFailed), "\(purpose) as \(stated)")
      }
    }
    #expect(Set(purposes.map(\.associatedData)).count == purposes.count)
  }

  @Test func everyAlteredBitIsNoticed() throws {
    let recipient = try LeaseRecipient()
    let sealed = try recipient.publicKey.seal(try SecretBytes(Array("a key".utf8)), for: Self.lease)
    for index in sealed.indices {
      for bit in 0..<8 {
        var altered = sealed
        altered[index] ^= 1 << UInt8(bit)
        let error = try signingError { _ = try recipient.open(altered.span, for: Self.lease) }
        #expect(error?.code == (index == 0 ? .malformedCiphertext : .authenticationFailed), "byte \(index)")
      }
    }
  }

  @Test func everyTruncationIsNoticed() throws {
    let recipient = try LeaseRecipient()
    let sealed = try recipient.publicKey.seal(try SecretBytes(Array("a key".utf8)), for: Self.lease)
    for count in 0..<sealed.count {
      let truncated = Array(sealed[..<count])
      let error = try signingError { _ = try recipient.open(truncated.span, for: Self.lease) }
      #expect(error?.code == (count < KeySeal.overheadBytes ? .malformedCiphertext : .authenticationFailed))
    }
    let longer = sealed + [0]
    #expect(try signingError { _ = try recipient.open(longer.span, for: Self.lease) }?.code == .authenticationFailed)
    let huge = [UInt8](repeating: 1, count: PrivateKey.maximumEncodedBytes + KeySeal.overheadBytes + 1)
    #expect(try signingError { _ = try recipient.open(huge.span, for: Self.lease) }?.code == .malformedCiphertext)
  }

  @Test func sizesFromNothingToTheLimit() throws {
    let recipient = try LeaseRecipient()
    for count in [0, 1, PrivateKey.maximumEncodedBytes] {
      let secret = try SecretBytes(randomCount: count)
      let sealed = try recipient.publicKey.seal(secret, for: Self.lease)
      #expect(try recipient.open(sealed.span, for: Self.lease).isEqual(to: secret))
    }
    let tooLarge = try SecretBytes(randomCount: PrivateKey.maximumEncodedBytes + 1)
    #expect(try signingError { _ = try recipient.publicKey.seal(tooLarge, for: Self.lease) }?.code == .keyTooLarge)
  }

  /// The points of small order in both representations that X25519 takes (RFC 7748, 7; Curve25519's own page).
  @Test(arguments: [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ])
  func pointsOfSmallOrderYieldNoSecret(_ point: String) throws {
    let recipient = try SealingPublicKey(bytes: hex(point).span)
    let sealing = try signingError { _ = try recipient.seal(try SecretBytes([1]), for: Self.lease) }
    #expect(sealing?.code == .invalidRecipient)
    // And as the ephemeral key of a message.
    let holder = try LeaseRecipient()
    let message = [1] + hex(point) + [UInt8](repeating: 0, count: 24 + 16 + 4)
    let opening = try signingError { _ = try holder.open(message.span, for: Self.lease) }
    #expect(opening?.code == .malformedCiphertext)
  }

  @Test(arguments: [0, 31, 33, 64])
  func publicKeysOfAnotherLengthAreRefused(_ count: Int) throws {
    let bytes = [UInt8](repeating: 9, count: count)
    let error = try signingError { _ = try SealingPublicKey(bytes: bytes.span) }
    #expect(error?.code == .invalidRecipient)
    #expect(error?.message.contains("not \(count)") == true)
  }

  @Test func matchesAnotherImplementation() throws {
    let pair = try X25519Pair(privateKey: SecretBytes((1..<33).map { UInt8($0) }))
    #expect(pair.publicKey.bytes == hex("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"))
    let header = """
      015714769d116bf76436ae74bc793d2c30ad1903c59ac5273805c7e2698b410c36c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcddde
      dfaf5814979b96b1bf7047320c6f28410f8cae569144f54765204e7f732a4c
      """
    let vectors: [(SealPurpose, String)] = [
      (Self.lease, "a9bb6a24355c0638dd1bcc0d6fabf409"),
      (.keyImport(.ed25519), "4e35b87dce2a03f1b7393c7e80a1a17a"),
    ]
    for (purpose, tag) in vectors {
      let opened = try KeySeal.open(hex(header + tag).span, with: pair, for: purpose)
      #expect(opened.exposed == Array("not a key, but sealed like one".utf8))
    }
  }
}
