import Domain
import Storage
import Testing

// Keys: added once, listed in pages, and moved between states that mint epochs where they must.
extension ConformanceCase {
  static let keys = [
    ConformanceCase("reserved ids are fresh") { scene async throws in
      let first = try await scene.store.reserveKeyIDs(3)
      let second = try await scene.store.reserveKeyIDs(2)
      #expect(Set(first + second).count == 5)
      #expect((first + second).allSatisfy { $0.rawValue >= 1 })
      #expect(try await scene.store.reserveKeyIDs(0) == [])
    },

    ConformanceCase("a key comes back as it was added, and its private part apart from it") { scene async throws in
      let ids = try await scene.store.reserveKeyIDs(2)
      let new = [scene.newKey(ids[0], .ed25519), scene.newKey(ids[1], .rsaPSS2048)]
      let added = try await scene.store.insert(new)
      #expect(added.map(\.id) == ids)
      for (key, new) in zip(added, new) {
        #expect(key.algorithm == new.algorithm)
        #expect(key.state == .active)
        #expect(key.publicKey == new.publicKey)
        #expect(key.label == new.label)
        #expect(key.epoch.rawValue == 0)
        #expect(key.holder == nil)
        #expect(try await scene.store.key(key.id) == key)
        #expect(try await scene.store.wrappedPrivateKey(key.id) == new.wrappedPrivateKey)
      }
      #expect(try await scene.store.insert([]) == [])
    },

    ConformanceCase("a key that does not exist is nil or not found") { scene async throws in
      let unknown = KeyID(rawValue: 4711)
      #expect(try await scene.store.key(unknown) == nil)
      #expect(try await scene.store.leaseStates([unknown]) == [])
      await expectError(.notFound, naming: "4711") { try await scene.store.wrappedPrivateKey(unknown) }
      await expectError(.notFound, naming: "4711") { try await scene.store.setState(unknown, to: .disabled) }
    },

    ConformanceCase("a public key is added once; on a conflict none of the keys is added") { scene async throws in
      let first = try #require(try await scene.addKeys(1).first)
      let ids = try await scene.store.reserveKeyIDs(2)
      var twin = scene.newKey(ids[1])
      twin.publicKey = scene.newKey(first).publicKey
      let keys = [scene.newKey(ids[0]), twin]
      await expectError(.conflict, naming: "key \(ids[1])", "key \(first)") { try await scene.store.insert(keys) }
      #expect(try await scene.store.key(ids[0]) == nil)
      #expect(try await scene.store.keys(algorithm: nil, after: nil, limit: 10).map(\.id) == [first])

      twin.publicKey = keys[0].publicKey
      let twins = [keys[0], twin]
      await expectError(.conflict) { try await scene.store.insert(twins) }
      #expect(try await scene.store.key(ids[0]) == nil)

      var sameID = scene.newKey(ids[0])
      sameID.id = first
      let taken = sameID
      await expectError(.conflict, naming: "\(first)") { try await scene.store.insert([taken]) }
    },

    ConformanceCase("keys are listed by id, in pages, of one algorithm or of all") { scene async throws in
      let ecdsa = try await scene.addKeys(3)
      let edwards = try await scene.addKeys(2, .ed25519)
      let store = scene.store
      #expect(try await store.keys(algorithm: nil, after: nil, limit: 10).map(\.id) == ecdsa + edwards)
      #expect(try await store.keys(algorithm: nil, after: ecdsa[1], limit: 2).map(\.id) == [ecdsa[2], edwards[0]])
      #expect(try await store.keys(algorithm: .ed25519, after: nil, limit: 1).map(\.id) == [edwards[0]])
      #expect(try await store.keys(algorithm: .ed25519, after: edwards[1], limit: 1) == [])
      #expect(try await store.keys(algorithm: .rsaPSS4096, after: nil, limit: 1) == [])
    },

    ConformanceCase("active keys are counted by algorithm") { scene async throws in
      let ids = try await scene.addKeys(3)
      try await scene.addKeys(1, .ed25519)
      _ = try await scene.store.setState(ids[0], to: .disabled)
      _ = try await scene.store.setState(ids[1], to: .retired)
      #expect(try await scene.store.activeKeyCount(.ecdsaP256) == 1)
      #expect(try await scene.store.activeKeyCount(.ed25519) == 1)
      #expect(try await scene.store.activeKeyCount(.rsaPSS2048) == 0)
    },

    ConformanceCase("disabling mints an epoch, retiring does not, and retired is for good") { scene async throws in
      let ids = try await scene.addKeys(2)
      let disabled = try await scene.store.setState(ids[0], to: .disabled)
      #expect(disabled.state == .disabled)
      #expect(disabled.epoch.rawValue == 1)
      #expect(try await scene.store.setState(ids[0], to: .disabled) == disabled)
      let enabled = try await scene.store.setState(ids[0], to: .active)
      #expect(enabled.state == .active)
      #expect(enabled.epoch.rawValue == 1)

      let retired = try await scene.store.setState(ids[1], to: .retired)
      #expect(retired.state == .retired)
      #expect(retired.epoch.rawValue == 0)
      #expect(try await scene.store.setState(ids[1], to: .retired) == retired)
      for state in [KeyState.active, .disabled] {
        await expectError(.wrongState, naming: "key \(ids[1])", "retired") {
          try await scene.store.setState(ids[1], to: state)
        }
      }
      _ = try await scene.store.setState(ids[0], to: .disabled)
      #expect(try await scene.store.setState(ids[0], to: .retired).state == .retired)
    },
  ]
}
