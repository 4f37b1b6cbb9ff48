import Domain
import RPC
import Schema
import Signing
import Testing

/// The keyring through its service: what is made can be listed, fetched, and moved between states, and every error comes with
/// the documented code in the documented order.
@Suite struct KeyringTests {
  @Test func generatedKeysAreAllThereAndDiffer() throws {
    try KeeperRig.run { rig in
      let keys = try await rig.generate(130, label: "ring")
      #expect(keys.map(\.keyID) == Array(1...130))
      #expect(Set(keys.map(\.publicKeySpki)).count == 130)
      #expect(keys.allSatisfy { $0.state == .active && $0.epoch == 0 && $0.holder.isEmpty && $0.label == "ring" })
      for key in keys.prefix(3) {
        let spki = key.publicKeySpki
        #expect(try PublicKey(der: spki.span).algorithm == .ed25519)
        #expect(key.fingerprint.count == 32)
        #expect(try await rig.get(key.keyID) == key)
      }
    }
  }

  @Test func nothingSaidIsOneECDSAKey() throws {
    try KeeperRig.run { rig in
      let keys = try await rig.generate(0, .unspecified)
      #expect(keys.map(\.algorithm) == [.ecdsaP256])
    }
  }

  @Test func generateRefuses() throws {
    try KeeperRig.run { rig in
      await expect(.invalidArgument, "algorithm: 77") { try await rig.generate(10_001, .unrecognized(77)) }
      await expect(.invalidArgument, "count: 10001") { try await rig.generate(10_001) }
      let label = String(repeating: "x", count: Key.maximumLabelBytes)
      await expect(.invalidArgument, "label") { try await rig.generate(1, label: label + "x") }
      let keys = try await rig.generate(1, label: label)
      #expect(keys.map(\.label) == [label])
      #expect(try await rig.keys.list(.init()) == .init(keys: keys))
    }
  }

  @Test func listPages() throws {
    try KeeperRig.run { rig in
      try await rig.generate(5)
      try await rig.generate(2, .ecdsaP256)
      try await rig.generate(1)
      func page(
        _ size: UInt32, after: Int64 = 0, _ algorithm: ChanceryV1.Algorithm = .unspecified
      ) async throws -> ([Int64], Bool) {
        let page = try await rig.keys.list(.init(algorithm: algorithm, pageSize: size, afterKeyID: after))
        return (page.keys.map(\.keyID), page.more)
      }
      #expect(try await page(0) == (Array(1...8), false))
      #expect(try await page(3) == ([1, 2, 3], true))
      #expect(try await page(3, after: 3) == ([4, 5, 6], true))
      #expect(try await page(3, after: 6) == ([7, 8], false))
      #expect(try await page(8) == (Array(1...8), false))
      #expect(try await page(2, .ecdsaP256) == ([6, 7], false))
      #expect(try await page(5, after: 4, .ed25519) == ([5, 8], false))
      #expect(try await page(1, after: 8) == ([], false))
      #expect(try await page(10_000) == (Array(1...8), false))
      await expect(.invalidArgument, "page_size: 10001") { _ = try await page(10_001) }
      await expect(.invalidArgument, "algorithm: 9") { _ = try await page(1, .unrecognized(9)) }
    }
  }

  @Test func statesAndTheirErrors() throws {
    try KeeperRig.run { rig in
      let id = try await rig.generate(1)[0].keyID
      let keys = rig.keys
      await expect(.notFound, "no key 9") { _ = try await keys.get(.init(keyID: 9)) }
      await expect(.notFound, "no key 9") { _ = try await keys.disable(.init(keyID: 9)) }
      await expect(.notFound, "no key 9") { _ = try await keys.enable(.init(keyID: 9)) }
      await expect(.notFound, "no key 9") { _ = try await keys.retire(.init(keyID: 9)) }

      let disabled = try await keys.disable(.init(keyID: id))
      #expect(disabled.state == .disabled && disabled.epoch == 1)
      #expect(try await keys.disable(.init(keyID: id)) == disabled)
      let enabled = try await keys.enable(.init(keyID: id))
      #expect(enabled.state == .active && enabled.epoch == 1)
      #expect(try await keys.enable(.init(keyID: id)) == enabled)
      let retired = try await keys.retire(.init(keyID: id))
      #expect(retired.state == .retired && retired.epoch == 1)
      #expect(try await keys.retire(.init(keyID: id)) == retired)
      await expect(.failedPrecondition, "retired") { _ = try await keys.disable(.init(keyID: id)) }
      await expect(.failedPrecondition, "retired") { _ = try await keys.enable(.init(keyID: id)) }
      #expect(try await rig.get(id) == retired)
    }
  }
}
