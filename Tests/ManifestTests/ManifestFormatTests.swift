import Domain
import Manifest
import Signing
import Testing

// Proves that the bytes that are hashed and signed are those that docs/manifest.md gives: who writes a verifier from it gets the
// same.
@Suite("A manifest is what its documentation says")
struct ManifestFormatTests {
  @Test func aLeafIsTheHashOfTheDocumentedBytes() throws {
    var hasher = try MerkleHasher()
    let digest = try #require(SHA256Digest([UInt8](repeating: 0xAB, count: 32)))
    let entry = try ManifestEntry(
      recordID: RecordID(rawValue: 258), externalID: "é", payloadDigest: digest, keyID: KeyID(rawValue: 3),
      epoch: Epoch(rawValue: 4), signature: [9, 8, 7], algorithm: .ed25519, form: .jws, hasher: &hasher)
    var bytes: [UInt8] = [1, 2, 2, 0, 0, 0, 0, 0, 0, 1, 2]
    bytes += [UInt8](repeating: 0xAB, count: 32)
    bytes += [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]
    bytes += [0, 2, 0xC3, 0xA9, 0, 3, 9, 8, 7]
    #expect(entry.leaf == "\(try hasher.leaf(bytes))")
    #expect(try entry.expectedLeaf(.ed25519, .jws, &hasher).map { "\($0)" } == entry.leaf)
    #expect(try entry.expectedLeaf(.ed25519, .raw, &hasher).map { "\($0)" } != entry.leaf)
  }

  @Test func aStatementIsReadAsItIsWritten() throws {
    let digest = try #require(SHA256Digest([UInt8](repeating: 0x0F, count: 32)))
    let job = try #require(JobID("0190a3c2-5c6e-7d3a-9f10-0c2b7f1f8a11"))
    let statement = ManifestStatement(
      job: job, source: "records", algorithm: .ecdsaP256, form: .raw, records: 12, root: digest, lines: digest,
      signedAt: Timestamp(rawValue: 1_764_256_953_123_456))
    let hex = String(repeating: "0f", count: 32)
    #expect(
      statement.text == """
        chancery-manifest-v1
        job 0190a3c2-5c6e-7d3a-9f10-0c2b7f1f8a11
        source records
        algorithm ecdsa-p256
        form raw
        records 12
        root \(hex)
        lines \(hex)
        signed_at_us 1764256953123456

        """)
    #expect(ManifestStatement(text: statement.text) == statement)
    for (old, new) in [
      ("v1", "v2"), ("records 12", "records 012"), ("records 12", "records -1"), ("root 0f", "root 0F"),
    ] {
      #expect(ManifestStatement(text: statement.text.replacing(old, with: new)) == nil, "\(new)")
    }
    #expect(ManifestStatement(text: statement.text + "\n") == nil)
  }
}
