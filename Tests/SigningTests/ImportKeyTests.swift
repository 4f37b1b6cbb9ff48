import Domain
import Testing

@testable import Signing

// Proves that a client can seal a private key once and any replica with the same key-encryption key can open it, and
// that what arrives is checked like every key that is brought along.
@Suite struct ImportKeyTests {
  @Test(arguments: SignatureAlgorithm.allCases)
  func anyReplicaOpens(_ algorithm: SignatureAlgorithm) throws {
    let root = try SecretBytes(randomCount: KeyEncryptionKey.byteCount)
    let first = try KeyEncryptionKey(root: try root.copy())
    let second = try KeyEncryptionKey(root: root)
    #expect(first.importKey.publicKey == second.importKey.publicKey)
    let key = try TestKeys.key(algorithm)
    let sealed = try first.importKey.publicKey.seal(key, for: .keyImport(algorithm))
    #expect(try second.importKey.open(sealed.span, algorithm: algorithm).publicKey == key.publicKey)
  }

  @Test func anotherKeyEncryptionKeyDoesNotOpen() throws {
    let (kek, other) = (try KeyEncryptionKeyTests.makeKEK(), try KeyEncryptionKeyTests.makeKEK())
    #expect(kek.importKey.publicKey != other.importKey.publicKey)
    let sealed = try kek.importKey.publicKey.seal(try TestKeys.key(.ed25519), for: .keyImport(.ed25519))
    let error = try signingError { _ = try other.importKey.open(sealed.span, algorithm: .ed25519) }
    #expect(error?.code == .authenticationFailed)
  }

  @Test func aKeyOfAnotherAlgorithmThanStatedIsRefused() throws {
    let kek = try KeyEncryptionKeyTests.makeKEK()
    let sealed = try kek.importKey.publicKey.seal(try TestKeys.key(.ed25519), for: .keyImport(.ecdsaP256))
    let error = try signingError { _ = try kek.importKey.open(sealed.span, algorithm: .ecdsaP256) }
    #expect(error?.code == .unsupportedKeyType)
    #expect(error?.message.contains("ed25519") == true)
  }

  @Test func whatIsNoKeyIsRefused() throws {
    let kek = try KeyEncryptionKeyTests.makeKEK()
    func outcome(_ contents: [UInt8]) throws -> SigningError.Code? {
      let sealed = try kek.importKey.publicKey.seal(try SecretBytes(contents), for: .keyImport(.ecdsaP256))
      return try signingError { _ = try kek.importKey.open(sealed.span, algorithm: .ecdsaP256) }?.code
    }
    #expect(try outcome([]) == .malformedPEM)
    #expect(try outcome(Array("not a key".utf8)) == .malformedPEM)
    #expect(try outcome(try TestKeys.key(.ecdsaP256).publicKey.der) == .publicKeyGiven)
    let ec = try TestKeys.key(.ecdsaP256).exposedPKCS8()
    let otherPoint = try TestKeys.otherKey(.ecdsaP256).exposedPKCS8().suffix(65)
    #expect(try outcome(ec.dropLast(65) + otherPoint) == .inconsistentKey)
    #expect(try outcome(ec) == nil)
  }
}
