internal import COpenSSL
import Domain
import Testing

@testable import Signing

// Proves that secret bytes are what was put in, that they lie in locked memory as long as there is some and still work
// when there is none, that memory comes back when a value goes away, and that it is wiped before someone else gets it.
@Suite(.serialized) struct SecretBytesTests {
  @Test func keepsWhatWasPutIn() throws {
    for count in [0, 1, 31, 32, 33, 4096, 8192, 8193, 100_000] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
      let secret = try SecretBytes(bytes)
      #expect(secret.count == count)
      #expect(secret.exposed == bytes)
      #expect(try secret.copy().exposed == bytes)
    }
  }

  @Test func capacityMayExceedCount() throws {
    let secret = try SecretBytes(capacity: 100) { output in
      output.append(1)
      output.append(2)
    }
    #expect(secret.count == 2)
    #expect(secret.exposed == [1, 2])
  }

  @Test func equalityComparesAllBytes() throws {
    let secret = try SecretBytes([1, 2, 3])
    let cases: [([UInt8], Bool)] = [
      ([1, 2, 3], true), ([1, 2, 4], false), ([0, 2, 3], false), ([1, 2], false), ([1, 2, 3, 0], false), ([], false),
    ]
    for (bytes, isEqual) in cases {
      let other = try SecretBytes(bytes)
      #expect(secret.isEqual(to: other) == isEqual, "\(bytes)")
    }
    let empty = try SecretBytes([])
    let another = try SecretBytes([])
    let emptyAreEqual = empty.isEqual(to: another)
    #expect(emptyAreEqual)
  }

  @Test func randomBytesAreNotTheSameTwice() throws {
    let secret = try SecretBytes(randomCount: 32)
    #expect(secret.count == 32)
    let other = try SecretBytes(randomCount: 32)
    let isEqual = secret.isEqual(to: other)
    #expect(!isEqual)
  }

  @Test func failureWhileItIsMadeGivesTheMemoryBack() throws {
    let failure = SigningError(.malformedDER, "as a test demands")
    let error = try signingError {
      _ = try SecretBytes(capacity: 8) { (output) throws(SigningError) in
        output.append(1)
        throw failure
      }
    }
    #expect(error?.message == failure.message)
  }

  @Test func smallSecretsLieInTheArena() throws {
    let secret = try SecretBytes(randomCount: 64)
    let isInArena = secret.isInArena
    #expect(isInArena)
    let larger = try SecretBytes(randomCount: 8193)
    let largerIsInArena = larger.isInArena
    #expect(!largerIsInArena, "larger ones get memory of their own")
    #expect(ProcessHardening.keyMemoryIsLocked)
  }

  @Test func memoryIsWipedWhenTheValueGoesAway() throws {
    // The arena stays mapped, so what a value leaves behind in it can be looked at. Other tests may get the block in
    // between, but they cannot make the pattern reappear.
    let pattern = [UInt8](repeating: 0xC7, count: 4000)
    let address = try SecretBytes(pattern).addressAfterUse { #expect($0 == pattern) }
    let left = (0..<pattern.count).count { address.load(fromByteOffset: $0, as: UInt8.self) == 0xC7 }
    #expect(left < 100)
  }

  @Test func aFullArenaIsNoFailure() throws {
    let count = KeyMemory.arenaBytes / 4096
    var kept: [Kept] = []
    for index in 0..<count { kept.append(Kept(try SecretBytes([UInt8](repeating: UInt8(index & 255), count: 4096)))) }
    #expect(kept.contains { $0.secret.isInArena })
    #expect(kept.contains { !$0.secret.isInArena })
    #expect(CRYPTO_secure_used() <= KeyMemory.arenaBytes / 2 + 65536, "half is left for OpenSSL's own numbers")
    for (index, item) in kept.enumerated() {
      #expect(item.secret.withBytes { $0[0] == UInt8(index & 255) && $0[4095] == UInt8(index & 255) })
    }
    let key = try PrivateKey.generate(.ecdsaP256)
    var signer = try BatchSigner(key)
    let publicKey = try key.publicKey
    #expect(try publicKey.accepts(try signer.signature(over: [1]), over: [1]), "keys still work")
    let before = CRYPTO_secure_used()
    kept = []
    #expect(CRYPTO_secure_used() < before, "and the memory comes back")
  }

  private final class Kept {
    let secret: SecretBytes

    init(_ secret: consuming SecretBytes) {
      self.secret = secret
    }
  }
}

extension SecretBytes {
  fileprivate var isInArena: Bool {
    withBytes { bytes in bytes.withUnsafeBytes { CRYPTO_secure_allocated($0.baseAddress) == 1 } }
  }

  /// Where the bytes were, after they have been destroyed.
  fileprivate consuming func addressAfterUse(_ body: ([UInt8]) -> Void) -> UnsafeRawPointer {
    body(exposed)
    return withBytes { bytes in bytes.withUnsafeBytes { $0.baseAddress! } }
  }
}
