import Domain
import Signing
import Synchronization
import Testing

// Proves that what a key signs its public half verifies, and nothing else, for every algorithm and for payloads from
// nothing to one mebibyte, through the same signer and verifier that a batch uses.
@Suite struct RoundTripTests {
  /// Around the block sizes of the hashes and the size at which Ed25519 changes its library.
  static let sizes = [0, 1, 55, 56, 64, 192, 16383, 16384, 1 << 20]

  @Test(arguments: SignatureAlgorithm.allCases)
  func signaturesVerifyForEverySize(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm)
    #expect(key.algorithm == algorithm)
    let publicKey = try key.publicKey
    #expect(publicKey.algorithm == algorithm)
    var signer = try BatchSigner(key)
    var verifier = try SignatureVerifier(publicKey)
    var digester = try PayloadDigester()
    for size in Self.sizes {
      let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
      var signature: [UInt8] = []
      let digest = try signer.sign(payload.span, appendingTo: &signature)
      #expect(digest == (try digester.digest(payload.span)))
      #expect(signature.count <= algorithm.maximumSignatureBytes)
      if algorithm != .ecdsaP256 { #expect(signature.count == algorithm.maximumSignatureBytes) }
      #expect(try verifier.accepts(signature, over: payload))
      #expect(try publicKey.accepts(signature, over: payload))
      #expect(try !verifier.accepts(signature, over: (payload + [0])))
      if size > 0 { #expect(try !verifier.accepts(signature, over: Array(payload.dropLast()))) }
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func everyAlteredByteOfASignatureIsRefused(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm)
    var signer = try BatchSigner(key)
    var verifier = try SignatureVerifier(try key.publicKey)
    let payload = Array("pay 100 to Alice".utf8)
    let signature = try signer.signature(over: payload)
    for index in signature.indices {
      var altered = signature
      altered[index] ^= 1 << UInt8(index % 8)
      #expect(try !verifier.accepts(altered, over: payload), "byte \(index)")
    }
    for index in payload.indices {
      var altered = payload
      altered[index] ^= 0x20
      #expect(try !verifier.accepts(signature, over: altered), "byte \(index)")
    }
    for count in 0..<signature.count {
      #expect(try !verifier.accepts(Array(signature[..<count]), over: payload), "\(count) bytes")
    }
    #expect(try !verifier.accepts((signature + [0]), over: payload))
    #expect(try verifier.accepts(signature, over: payload), "still usable after refusals")
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func anotherKeyDoesNotVerify(_ algorithm: SignatureAlgorithm) throws {
    var signer = try BatchSigner(try TestKeys.key(algorithm))
    let other = try TestKeys.otherKey(algorithm).publicKey
    let signature = try signer.signature(over: [1, 2, 3])
    #expect(try !other.accepts(signature, over: [1, 2, 3]))
  }

  @Test func batchFillsOneBuffer() throws {
    let key = try TestKeys.key(.ecdsaP256)
    var signer = try BatchSigner(key)
    var verifier = try SignatureVerifier(try key.publicKey)
    var signatures: [UInt8] = [0xAA]
    signatures.reserveCapacity(1 + 500 * SignatureAlgorithm.ecdsaP256.maximumSignatureBytes)
    var ends: [Int] = []
    for record in 0..<500 {
      _ = try signer.sign(Array("record \(record)".utf8).span, appendingTo: &signatures)
      ends.append(signatures.count)
    }
    #expect(signatures[0] == 0xAA)
    var start = 1
    for (record, end) in ends.enumerated() {
      let payload = Array("record \(record)".utf8)
      #expect(try verifier.accepts(Array(signatures[start..<end]), over: payload))
      start = end
    }
    #expect(ends.enumerated().allSatisfy { index, end in end - (index == 0 ? 1 : ends[index - 1]) >= 68 })
  }

  @Test func outputSpanIsFilledInPlace() throws {
    let key = try TestKeys.key(.ed25519)
    var signer = try BatchSigner(key)
    let publicKey = try key.publicKey
    let signatures = try [UInt8](capacity: 128) { output in
      _ = try signer.sign([1].span, into: &output)
      _ = try signer.sign([2].span, into: &output)
    }
    #expect(signatures.count == 128)
    #expect(try publicKey.accepts(Array(signatures[..<64]), over: [1]))
    #expect(try publicKey.accepts(Array(signatures[64...]), over: [2]))
  }

  @Test func tooLittleRoomIsABug() async {
    await #expect(processExitsWith: .failure) {
      var signer = try BatchSigner(try TestKeys.key(.ecdsaP256))
      _ = try [UInt8](capacity: 71) { output in _ = try signer.sign([1].span, into: &output) }
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func checkTellsAChangedPayloadFromAWrongSignature(_ algorithm: SignatureAlgorithm) throws {
    let key = try TestKeys.key(algorithm)
    var signer = try BatchSigner(key)
    var verifier = try SignatureVerifier(try key.publicKey)
    let payload: [UInt8] = [1, 2, 3]
    var signature: [UInt8] = []
    let digest = try signer.sign(payload.span, appendingTo: &signature)
    #expect(try verifier.check(signature: signature.span, payload: payload.span, signedDigest: digest) == .valid)
    #expect(
      try verifier.check(signature: signature.span, payload: [1, 2].span, signedDigest: digest) == .payloadChanged)
    signature[10] ^= 1
    #expect(
      try verifier.check(signature: signature.span, payload: payload.span, signedDigest: digest) == .invalidSignature)
  }

  @Test(arguments: [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048])
  func signerMovesBetweenThreads(_ algorithm: SignatureAlgorithm) async throws {
    let key = try TestKeys.key(algorithm)
    let publicKey = try key.publicKey
    let der = try key.pkcs8()
    // Each task signs with a signer of its own for the same key, and one public key serves all.
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for task in 0..<8 {
        let signer = Mutex(try BatchSigner(try PrivateKey(trustedPKCS8: der)))
        let box = Moved(signer)
        group.addTask { try box.signAndVerify(task: UInt8(task), publicKey) }
      }
      for try await verified in group { #expect(verified) }
    }
  }
}

/// Carries a signer to the task that uses it.
private final class Moved: Sendable {
  private let signer: Mutex<BatchSigner>

  init(_ signer: consuming Mutex<BatchSigner>) {
    self.signer = signer
  }

  func signAndVerify(task: UInt8, _ publicKey: PublicKey) throws -> Bool {
    try signer.withLock { signer in
      var signature: [UInt8] = []
      for record in 0..<20 {
        signature.removeAll()
        let payload = [task, UInt8(record)]
        _ = try signer.sign(payload.span, appendingTo: &signature)
        guard try publicKey.accepts(signature, over: payload) else { return false }
      }
      return true
    }
  }
}
