import Domain
import RPC
import Schema
import Signing
import Testing

/// Import through the service: a private key that a client sealed is taken, as PEM or DER, and can be leased; whatever is no
/// such key is refused with what is wrong, before anything is stored. The files are OpenSSL's.
@Suite struct ImportTests {
  /// Seals a file as a client does, and imports it.
  private static func importing(
    _ file: [UInt8], _ rig: KeeperRig, algorithm: ChanceryV1.Algorithm = .ed25519,
    sealedFor purpose: SignatureAlgorithm = .ed25519, label: String = ""
  ) async throws -> ChanceryV1.Key {
    let bytes = try await rig.keys.getImportKey(.init()).publicKey
    let recipient = try SealingPublicKey(bytes: bytes.span)
    let sealed = try recipient.seal(try SecretBytes(copying: file.span), for: .keyImport(purpose))
    return try await rig.keys.import(.init(sealedPkcs8: sealed, label: label, algorithm: algorithm))
  }

  private static func der(_ pem: String, passphrase: String? = nil) throws -> [UInt8] {
    let (file, phrase) = (Array(pem.utf8), passphrase.map { Array($0.utf8) })
    let key =
      if let phrase {
        try PrivateKey(importing: file.span, passphrase: phrase.span)
      } else {
        try PrivateKey(importing: file.span)
      }
    return try key.pkcs8().withBytes { bytes in bytes.indices.map { bytes[$0] } }
  }

  private static func publicKey() throws -> PublicKey {
    let file = Array(ed25519Public.utf8)
    return try PublicKey(importing: file.span)
  }

  @Test(arguments: [true, false]) func aKeyIsTakenOnceAndCanBeLeased(asPEM: Bool) throws {
    try KeeperRig.run { rig in
      let file = asPEM ? Array(Self.ed25519.utf8) : try Self.der(Self.ed25519)
      let key = try await Self.importing(file, rig, label: "brought")
      #expect(key.algorithm == .ed25519 && key.state == .active && key.label == "brought")
      let expected = try Self.publicKey()
      #expect(key.publicKeySpki == expected.der)
      let other = asPEM ? try Self.der(Self.ed25519) : Array(Self.ed25519.utf8)
      await expect(.alreadyExists, "key \(key.keyID)") { _ = try await Self.importing(other, rig) }
      let holder = try Holder()
      let lease = try await rig.acquire(holder)
      #expect(lease.keyID == key.keyID)
      #expect(try holder.open(lease).publicKey == expected)
    }
  }

  @Test func anEncryptedKeyIsOpenedByTheClientThatHasThePassphrase() throws {
    try KeeperRig.run { rig in
      await expect(.invalidArgument, "passphrase") {
        _ = try await Self.importing(Array(Self.ed25519Encrypted.utf8), rig)
      }
      #expect(throws: SigningError.self) { try Self.der(Self.ed25519Encrypted, passphrase: "sesame?") }
      let key = try await Self.importing(try Self.der(Self.ed25519Encrypted, passphrase: "sesame"), rig)
      #expect(try key.publicKeySpki == Self.publicKey().der)
    }
  }

  /// A file, and what its refusal says.
  struct BadFile: CustomTestStringConvertible {
    let testDescription: String
    let file: String
    let text: String

    init(_ name: String, _ file: String, _ text: String) {
      testDescription = name
      self.file = file
      self.text = text
    }
  }

  private static let begin = "-----BEGIN PRIVATE KEY-----\n"
  private static let end = "\n-----END PRIVATE KEY-----\n"

  @Test(arguments: [
    BadFile("empty", "", "not DER"), BadFile("short PEM", begin + "MC4CAQAw" + end, "byte"),
    BadFile("no base64", begin + "!" + end, "base64"), BadFile("public", ed25519Public, "public key"),
    BadFile("P-384", p384, "P-256"), BadFile("X25519", x25519, "Ed25519"), BadFile("RSA 1024", rsa1024, "1024"),
    BadFile("two", ed25519 + "\n" + p256, "2 private keys"),
  ]) func whatIsNoUsableKeyIsRefused(bad: BadFile) throws {
    try KeeperRig.run { rig in
      await expect(.invalidArgument, bad.text) { _ = try await Self.importing(Array(bad.file.utf8), rig) }
      let stored = try await rig.keys.list(.init())
      #expect(stored.keys.isEmpty)
    }
  }

  @Test func theAlgorithmMustBeGivenAndRight() throws {
    try KeeperRig.run { rig in
      let p256 = Array(Self.p256.utf8)
      await expect(.invalidArgument, "algorithm: it must be given") {
        _ = try await Self.importing(p256, rig, algorithm: .unspecified)
      }
      await expect(.invalidArgument, "algorithm: 12") {
        _ = try await Self.importing(p256, rig, algorithm: .unrecognized(12))
      }
      // Sealed for another algorithm than the one named: it does not open.
      await expect(.invalidArgument, "sealed_pkcs8") {
        _ = try await Self.importing(p256, rig, algorithm: .ecdsaP256, sealedFor: .ed25519)
      }
      await expect(.invalidArgument, "ecdsa-p256") {
        _ = try await Self.importing(p256, rig, algorithm: .ed25519, sealedFor: .ed25519)
      }
      let key = try await Self.importing(p256, rig, algorithm: .ecdsaP256, sealedFor: .ecdsaP256)
      #expect(key.algorithm == .ecdsaP256)
    }
  }

  @Test func whatIsNotSealedToTheImportKeyIsRefused() throws {
    try KeeperRig.run { rig in
      let secret = try Self.der(Self.ed25519)
      let stranger = try LeaseRecipient()
      let sealed = try stranger.publicKey.seal(try SecretBytes(copying: secret.span), for: .keyImport(.ed25519))
      let huge = [UInt8](repeating: 1, count: 40_000)
      for bytes in [[], secret, sealed, Array(sealed.dropLast()), huge] {
        await expect(.invalidArgument, "sealed_pkcs8") {
          _ = try await rig.keys.import(.init(sealedPkcs8: bytes, algorithm: .ed25519))
        }
      }
      let long = String(repeating: "x", count: Key.maximumLabelBytes + 1)
      await expect(.invalidArgument, "label") { _ = try await Self.importing(secret, rig, label: long) }
    }
  }

  private static let ed25519 = """
    -----BEGIN PRIVATE KEY-----
    MC4CAQAwBQYDK2VwBCIEIAQWBBwAD4dsOmovd57Yafjd1K1uYdqxIllCb93jNTh3
    -----END PRIVATE KEY-----

    """
  private static let ed25519Public = """
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAzWNP8dPjeulpYqnZy6QVJPR8eQ11dP5CEecXbYgsOH8=
    -----END PUBLIC KEY-----

    """
  /// Under the passphrase "sesame".
  private static let ed25519Encrypted = """
    -----BEGIN ENCRYPTED PRIVATE KEY-----
    MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAja4VTVV16FcQICCAAw
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEEVDeQwE1IZiEXN2VAaX7RsEQCbQ
    5U/DiJpH7JLS6YZIMhOhKU/zi0QahvJrnDIWym4LjxJx+vxlNgjpMsIglyVPGmez
    ejZJ/AXA4xwaKYfseMs=
    -----END ENCRYPTED PRIVATE KEY-----

    """
  private static let p256 = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdzNQkuGKSeg32LtR
    9S97KtjJqkrJHIF4BOvrYRJSKjKhRANCAAQ5aJk0o1vWirYLLZJvCyg4qLZqfS7l
    +Z626iXWhKYClPcqCDTO1rUovOm39/7U0Ur3TcS6NQvrum4bmRUmVByh
    -----END PRIVATE KEY-----

    """
  private static let p384 = """
    -----BEGIN PRIVATE KEY-----
    MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCiM0Fzmha/WlHPIUqb
    a9e7kfryNJbIqVbP0yLrfFqq0BqrUs9Xq4HiQgdWgCuqEUGhZANiAARGpP9Y5Fqd
    LqX4ly9gYibOULMBsn0eE1Qt3DEkFIx0nFzfSLgA8q77qloArSsiRD53TUPO3wEj
    CBiTTxh2bNivvcsCBfuFXylYx5K/QSifBZZs66CJQetzTNCLpGsn8iI=
    -----END PRIVATE KEY-----

    """
  private static let x25519 = """
    -----BEGIN PRIVATE KEY-----
    MC4CAQAwBQYDK2VuBCIEILi1866fX1Pz0EbH6tj5amzkIJqpv6j4ERpb2Jn5qcFT
    -----END PRIVATE KEY-----

    """
  private static let rsa1024 = """
    -----BEGIN PRIVATE KEY-----
    MIICdQIBADANBgkqhkiG9w0BAQEFAASCAl8wggJbAgEAAoGBAJhOkckZgFwW2wOv
    eg/gV6WFg0/LsCsipKwa/zjCj/5CCfYoQcIDQFh/di29KhrCM9SnHsH2cDOn/aSk
    LxmBpIFtuk3yi5YyCh0yWP0nDmf5T4dEdc2NOqMkPMf9z5E0OMjyU9+UH1jFJAgR
    X7ruN7ISkjLq9PYGj0sukQ+M7opjAgMBAAECgYB9vAcgRDwySe/+h+O1rZfNnn37
    5wSFZ7EYH6Vo3z3uQehlXXCD0RlStc8DDXHv6zjMqjZ7G44fJuT/AUecv+jkZmk2
    1YF2OeCR9zRXQ6LsZmEUxJSIMNwe7Y9Hyv4Y6mEpebljt3aHOh8KENC+a51p8Ksm
    ubne0ypc21+kbSW3UQJBAMpUl/MKmTVEqYAxKEKkZmfWo3D8n3zEDEbQi83he0K2
    yDap74AxZcgGq3MLl8nl1rYJSH6qaxtpRQnTEU42U7sCQQDAtRbKlnKlBcj7PrUN
    eZs+VDfsqKsj/7+hUwSj7H8NLH3y8LtNDeidHcvVWZZLwmcgYU3+OomR4Qy3lXeJ
    7fV5Aj8wNff+8YeQKcw5v3zYZFQCaiKHyao3EH/cX9TwOcolG2iZneRzp1GZV/2C
    bEC+2wVOWufrRrA+19abgK+e81MCQFkBy1sbDizGdUQGfJ2Ss2+geowmg5WHBL3A
    mH4WN8Cf8jSJmBlI+U3Ie2M5k7++NN+x0dJAu1XTuon40VO1wxECQQCLj3mgu7Zy
    auYVpGOei7bxTWvaiLOHm6W6UVJTT20JDYoW9WzezxfnlX5vuRSTeUr/8eONWwmG
    M9ilRpNF0Rc8
    -----END PRIVATE KEY-----

    """
}
