import Domain
import RPC
import Schema
import Signing
import Storage
import Synchronization
import TestWorld
import Testing

/// A private key leaves the KeyKeeper only sealed to the holder of its lease: it opens with that holder's key, for that key id
/// and epoch, and its secret bytes are nowhere in what else is seen from outside.
@Suite struct SecrecyTests {
  @Test func aLeaseOpensForItsHolderAndItsEpochAlone() throws {
    try KeeperRig.run { rig in
      let keys = try await rig.generate(2)
      let (holder, other) = (try Holder(1), try Holder(2))
      let lease = try await rig.acquire(holder)
      var signer = try BatchSigner(try holder.open(lease))
      let payload = Array("record".utf8)
      var signature: [UInt8] = []
      _ = try signer.sign(payload.span, appendingTo: &signature)
      let spki = keys[0].publicKeySpki
      #expect(try PublicKey(der: spki.span).verify(signature: signature.span, payload: payload.span))

      func error(_ body: () throws -> Void) -> SigningError.Code? {
        do {
          try body()
          return nil
        } catch {
          return (error as? SigningError)?.code
        }
      }
      #expect(error { _ = try other.open(lease) } == .authenticationFailed)
      let changes: [(inout ChanceryV1.Lease) -> Void] = [
        { $0.keyID += 1 }, { $0.epoch += 1 }, { $0.epoch -= 1 }, { $0.sealedPrivateKey[60] ^= 1 },
      ]
      for change in changes {
        var changed = lease
        change(&changed)
        #expect(error { _ = try holder.open(changed) } == .authenticationFailed)
      }
      // The same key again is sealed anew: nothing can be told from equal bytes.
      try await rig.release(lease)
      try await rig.release(try await rig.acquire(holder))
      let again = try await rig.acquire(holder)
      #expect(again.keyID == lease.keyID && again.sealedPrivateKey != lease.sealedPrivateKey)
    }
  }

  @Test func noSecretByteIsSeenOutside() throws {
    try KeeperRig.run { rig in
      let tap = Tap(rig.channels[0])
      let (keys, leases) = (ChanceryV1.Keys.Client(tap), ChanceryV1.Leases.Client(tap))
      let holder = try Holder()

      // A key whose secret is known here, and one whose secret is learned with its lease.
      let (sealed, seed) = try sealedKey(for: try await keys.getImportKey(.init()).publicKey)
      _ = try await keys.import(.init(sealedPkcs8: sealed, label: "canary", algorithm: .ed25519))
      try await rig.generate(1)
      await expect(.alreadyExists) { _ = try await keys.import(.init(sealedPkcs8: sealed, algorithm: .ed25519)) }
      await expect(.invalidArgument) { _ = try await keys.import(.init(sealedPkcs8: sealed, algorithm: .ecdsaP256)) }

      var seeds = [seed]
      for _ in 0..<2 {
        let lease = try await leases.acquire(
          .init(algorithm: .ed25519, holder: holder.id, recipientPublicKey: holder.recipient.publicKey.bytes))
        seeds.append(try self.seed(of: try holder.open(lease)))
        _ = try await leases.renew(.init(keyID: lease.keyID, leaseID: lease.leaseID))
        tap.note(try await rig.database.wrappedPrivateKey(KeyID(rawValue: lease.keyID)))
      }
      try #require(Set(seeds).count == 2)
      _ = try await keys.disable(.init(keyID: 1))
      _ = try await keys.list(.init())
      await expect(.notFound) { _ = try await leases.renew(.init(keyID: 1, leaseID: [UInt8](repeating: 1, count: 16))) }
      try await rig.pass(.seconds(40))

      for text in rig.observer.eventTexts + tap.errors { tap.note(Array(text.utf8)) }
      #expect(rig.observer.eventTexts.count >= 4 && tap.seen.count > 10)
      for seed in seeds {
        let hexadecimal = seed.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        // Half of it is enough to be found; the texts of numbers are how Swift prints bytes.
        for form in [
          Array(seed.prefix(16)), Array(hexadecimal.prefix(32).utf8),
          Array("\(seed.prefix(8))".dropFirst().dropLast().utf8),
        ] {
          for (index, bytes) in tap.seen.enumerated() {
            #expect(!bytes.contains(form), "secret bytes in what was seen \(index)")
          }
        }
      }
      // The scan finds what is there.
      tap.note([1, 2] + seeds[0])
      #expect(tap.seen.contains { $0.contains(Array(seeds[0].prefix(16))) })
    }
  }

  /// A new key, sealed for import, and its secret.
  private func sealedKey(for recipient: [UInt8]) throws -> (sealed: [UInt8], seed: [UInt8]) {
    let key = try PrivateKey.generate(.ed25519)
    return (try SealingPublicKey(bytes: recipient.span).seal(key, for: .keyImport(.ed25519)), try seed(of: key))
  }

  /// The last 32 bytes of the PKCS#8 of an Ed25519 key are its secret.
  private func seed(of key: borrowing PrivateKey) throws -> [UInt8] {
    try key.pkcs8().withBytes { bytes in (bytes.count - 32..<bytes.count).map { bytes[$0] } }
  }
}

/// A channel that keeps what comes back on it.
private final class Tap: RPCChannel {
  private let channel: any RPCChannel
  private let state = Mutex<(seen: [[UInt8]], errors: [String])>(([], []))

  init(_ channel: any RPCChannel) { self.channel = channel }

  var seen: [[UInt8]] { state.withLock { $0.seen } }
  var errors: [String] { state.withLock { $0.errors } }
  func note(_ bytes: [UInt8]) { state.withLock { $0.seen.append(bytes) } }

  func unaryBytes(
    _ method: MethodDescriptor, _ request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ArraySlice<UInt8> {
    do throws(RPCError) {
      let reply = try await channel.unaryBytes(method, request, options: options)
      note(request)
      note(Array(reply))
      return reply
    } catch {
      state.withLock { $0.errors.append("\(error) \(error.details)") }
      throw error
    }
  }

  func open(
    _ method: MethodDescriptor, request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ClientCall {
    try await channel.open(method, request: request, options: options)
  }
}
