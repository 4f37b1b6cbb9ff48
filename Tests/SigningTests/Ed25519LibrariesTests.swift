internal import COpenSSL
internal import CSodium
import Domain
import Signing
import Testing

// Proves that it does not matter which library makes an Ed25519 signature: libsodium, OpenSSL and BatchSigner, which
// takes one or the other by the payload's size, give the same 64 bytes for payloads on both sides of that size.
@Suite struct Ed25519LibrariesTests {
  @Test func bothLibrariesGiveTheSameBytes() throws {
    for round in 0..<4 {
      let key = try PrivateKey.generate(.ed25519)
      let seed = Array(try key.exposedPKCS8().suffix(32))
      var signer = try BatchSigner(key)
      for size in [0, 1, 31, 32, 127, 128, 192, 4096, 16382, 16383, 16384, 16385, 100_000] {
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ round) }
        let bySodium = signWithSodium(payload, seed)
        #expect(bySodium == signWithOpenSSL(payload, seed), "\(size) bytes")
        #expect(bySodium == (try signer.signature(over: payload)), "\(size) bytes")
      }
    }
  }

  private func signWithSodium(_ payload: [UInt8], _ seed: [UInt8]) -> [UInt8] {
    precondition(sodium_init() >= 0)
    var publicKey = [UInt8](repeating: 0, count: 32)
    var secretKey = [UInt8](repeating: 0, count: 64)
    var signature = [UInt8](repeating: 0, count: 64)
    #expect(crypto_sign_seed_keypair(&publicKey, &secretKey, seed) == 0)
    #expect(crypto_sign_detached(&signature, nil, payload, UInt64(payload.count), secretKey) == 0)
    return signature
  }

  private func signWithOpenSSL(_ payload: [UInt8], _ seed: [UInt8]) -> [UInt8] {
    let key = EVP_PKEY_new_raw_private_key(NID_ED25519, nil, seed, seed.count)
    let context = EVP_MD_CTX_new()
    defer {
      EVP_MD_CTX_free(context)
      EVP_PKEY_free(key)
    }
    var signature = [UInt8](repeating: 0, count: 64)
    var count = 64
    #expect(EVP_DigestSignInit(context, nil, nil, nil, key) == 1)
    #expect(EVP_DigestSign(context, &signature, &count, payload, payload.count) == 1)
    return signature
  }
}
