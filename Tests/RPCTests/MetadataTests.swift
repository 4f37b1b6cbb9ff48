import Testing
import TimeAndChance

@testable import RPC

/// Keys are folded and checked as documented, pairs keep their order, bytes survive base64 and only base64 is read.
@Suite struct MetadataTests {
  @Test func orderAndFolding() {
    var metadata: Metadata = ["B": "1", "a": "2"]
    metadata.add("3", for: "b")
    #expect(metadata.entries.map(\.key) == ["b", "a", "b"])
    #expect(metadata["b"] == "1" && metadata["B"] == "1" && metadata["c"] == nil)
    #expect(metadata.values(for: "B") == ["1", "3"])
    #expect(!metadata.isEmpty && Metadata().isEmpty)
    #expect(metadata.byteCount == 3 * (1 + 1 + 32))
  }

  @Test(arguments: ["a", "trace-parent", "x_y.z-0", "key-bin", "KEY", String(repeating: "k", count: 128)])
  func goodKeys(key: String) {
    #expect(([key: "v"] as Metadata).fault(limit: 1000) == nil)
  }

  /// The Kelvin sign is among them: `lowercased` would make it the letter k.
  @Test(arguments: ["", "a b", "ä", "\u{212A}", "a:b", "a\0", "a\n", "/", String(repeating: "k", count: 129)])
  func badKeys(key: String) throws {
    let fault = try #require(([key: "v"] as Metadata).fault(limit: 1000))
    #expect(fault.code == .invalidArgument)
    #expect(fault.message.hasPrefix("metadata key \""))
    #expect(fault.message.utf8.allSatisfy { $0 >= 0x20 })
  }

  @Test func badValues() throws {
    let fault = try #require((["token": "secret\0"] as Metadata).fault(limit: 1000))
    #expect(fault.code == .invalidArgument)
    #expect(fault.message.contains("'token'") && !fault.message.contains("secret"))
    #expect((["token": "é 🖋\n"] as Metadata).fault(limit: 1000) == nil)
  }

  @Test func limit() {
    let metadata: Metadata = ["key": "value"]
    #expect(metadata.fault(limit: 40) == nil)
    #expect(metadata.fault(limit: 39)?.code == .resourceExhausted)
    #expect(Metadata().fault(limit: 0) == nil)
  }

  /// The examples of RFC 4648, section 10, without padding.
  @Test(arguments: [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
    ("foobar", "Zm9vYmFy"),
  ]) func base64(text: String, encoded: String) {
    var metadata = Metadata()
    metadata.add(bytes: Array(text.utf8), for: "key-bin")
    #expect(metadata["key-bin"] == encoded)
    #expect(metadata.bytes(for: "key-bin") == Array(text.utf8))
    let padded = encoded + String(repeating: "=", count: (4 - encoded.utf8.count % 4) % 4)
    #expect((["key-bin": padded] as Metadata).bytes(for: "Key-Bin") == Array(text.utf8))
  }

  @Test(arguments: 0..<64 as Range<UInt64>) func anyBytes(seed: UInt64) {
    let random = SeededRandom(seed: seed)
    let bytes = (0..<Int(seed)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    #expect(Base64.decode(Base64.encode(bytes)) == bytes)
  }

  @Test(arguments: [
    "A", "AAAAA", "A===", "====", "Zg=", "Zg===", "Zm8==", "Zh", "Zm9", "Zm 9v", "Zm-_", "Z\u{131}9v", "=Zg=",
  ])
  func notBase64(text: String) {
    #expect((["key-bin": text] as Metadata).bytes(for: "key-bin") == nil)
  }

  @Test func bytesNeedABinaryKey() async {
    await #expect(processExitsWith: .failure) {
      var metadata = Metadata()
      metadata.add(bytes: [1], for: "key")
    }
    await #expect(processExitsWith: .failure) { _ = Metadata().bytes(for: "bin") }
  }
}
