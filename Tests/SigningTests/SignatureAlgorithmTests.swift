import Domain
import Testing

// Proves that names and storage codes are the ones that the protocol, SQL and stored keys rely on, and that a wrong
// name is answered with the valid ones, by a table of each.
@Suite struct SignatureAlgorithmTests {
  @Test func namesAndCodesAreFixed() {
    let expected: [(String, UInt8, Int)] = [
      ("ecdsa-p256", 1, 72), ("ed25519", 2, 64), ("rsa-pss-2048", 3, 256), ("rsa-pss-3072", 4, 384),
      ("rsa-pss-4096", 5, 512),
    ]
    let actual = SignatureAlgorithm.allCases.map { ($0.name, $0.storageCode, $0.maximumSignatureBytes) }
    #expect(actual.map(\.0) == expected.map(\.0))
    #expect(actual.map(\.1) == expected.map(\.1))
    #expect(actual.map(\.2) == expected.map(\.2))
    #expect(SignatureAlgorithm.default == .ecdsaP256)
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func nameAndCodeLeadBack(to algorithm: SignatureAlgorithm) throws {
    #expect(try SignatureAlgorithm(parsing: algorithm.name) == algorithm)
    #expect(SignatureAlgorithm(storageCode: algorithm.storageCode) == algorithm)
    #expect("\(algorithm)" == algorithm.name)
  }

  @Test(arguments: [UInt8(0), 6, 255])
  func unknownCodeIsNoAlgorithm(_ code: UInt8) {
    #expect(SignatureAlgorithm(storageCode: code) == nil)
  }

  @Test(arguments: [
    ("ECDSA-P256", SignatureAlgorithm.ecdsaP256), ("p256", .ecdsaP256), ("ecdsa_p256", .ecdsaP256),
    ("ed2519", .ed25519), ("Ed-25519", .ed25519), ("eddsa25519", .ed25519), ("rsa2048", .rsaPSS2048),
    ("rsa-pss-3071", .rsaPSS3072), ("rsa-4096", .rsaPSS4096),
  ])
  func wrongNameSuggestsTheNearest(_ name: String, _ nearest: SignatureAlgorithm) throws {
    let error = try #require(throws: UnknownSignatureAlgorithm.self) { try SignatureAlgorithm(parsing: name) }
    #expect(error.suggestion == nearest)
    #expect(error.description.contains(String(reflecting: name)))
    #expect(error.description.contains("did you mean \(nearest.name)?"))
    for valid in SignatureAlgorithm.allCases { #expect(error.description.contains(valid.name)) }
  }

  @Test(arguments: ["", "   ", "dilithium-and-more", "x"])
  func nameThatIsNearNothingSuggestsNothing(_ name: String) throws {
    let error = try #require(throws: UnknownSignatureAlgorithm.self) { try SignatureAlgorithm(parsing: name) }
    #expect(error.suggestion == nil)
    #expect(error.description.contains("ecdsa-p256"))
  }

  @Test func longNameIsCut() throws {
    let name = String(repeating: "a", count: 100_000)
    let error = try #require(throws: UnknownSignatureAlgorithm.self) { try SignatureAlgorithm(parsing: name) }
    #expect(error.name.count == UnknownSignatureAlgorithm.maximumNameCharacters)
    #expect(error.description.count < 300)
  }
}
