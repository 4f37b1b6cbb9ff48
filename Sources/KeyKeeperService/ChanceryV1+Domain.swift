import Domain
import RPC
import Schema
import Signing
import Storage

// Between messages and the domain. What a caller gets wrong is INVALID_ARGUMENT, and the message names the field.

extension ChanceryV1.Algorithm {
  init(_ algorithm: SignatureAlgorithm) {
    switch algorithm {
    case .ecdsaP256: self = .ecdsaP256
    case .ed25519: self = .ed25519
    case .rsaPSS2048: self = .rsaPss2048
    case .rsaPSS3072: self = .rsaPss3072
    case .rsaPSS4096: self = .rsaPss4096
    }
  }

  /// Nil if it is not given.
  func optional() throws(RPCError) -> SignatureAlgorithm? {
    switch self {
    case .unspecified: nil
    case .ecdsaP256: .ecdsaP256
    case .ed25519: .ed25519
    case .rsaPss2048: .rsaPSS2048
    case .rsaPss3072: .rsaPSS3072
    case .rsaPss4096: .rsaPSS4096
    case .unrecognized(let number):
      throw RPCError(.invalidArgument, "algorithm: \(number) is no algorithm that is known here")
    }
  }

  func required() throws(RPCError) -> SignatureAlgorithm {
    guard let algorithm = try optional() else {
      throw RPCError(.invalidArgument, "algorithm: it must be given")
    }
    return algorithm
  }
}

extension ChanceryV1.KeyState {
  init(_ state: KeyState) {
    switch state {
    case .active: self = .active
    case .disabled: self = .disabled
    case .retired: self = .retired
    }
  }
}

extension ChanceryV1.Key {
  init(_ key: Key) throws(SigningError) {
    var digester = try PayloadDigester()
    self.init(
      keyID: key.id.rawValue, algorithm: ChanceryV1.Algorithm(key.algorithm), state: ChanceryV1.KeyState(key.state),
      publicKeySpki: key.publicKey, fingerprint: try digester.digest(key.publicKey.span).bytes,
      epoch: key.epoch.rawValue, createdAtUs: key.createdAt.rawValue, holder: key.holder ?? "", label: key.label)
  }
}

extension ChanceryV1.Lease {
  init(_ lease: GrantedLease, sealedPrivateKey: [UInt8]) {
    self.init(
      keyID: lease.name.keyID.rawValue, epoch: lease.epoch.rawValue, leaseID: lease.name.leaseID.bytes,
      algorithm: ChanceryV1.Algorithm(lease.algorithm), waitedMs: lease.waited.wholeMilliseconds,
      ttlMs: lease.ttl.wholeMilliseconds, sealedPrivateKey: sealedPrivateKey)
  }
}

extension SignerID {
  init(request text: String) throws(RPCError) {
    guard let id = SignerID(text) else {
      throw RPCError(.invalidArgument, "holder: \(String(reflecting: String(text.prefix(64)))) is no UUID")
    }
    self = id
  }
}

extension SealingPublicKey {
  init(request bytes: [UInt8]) throws(RPCError) {
    do throws(SigningError) {
      try self.init(bytes: bytes.span)
    } catch {
      throw RPCError(.invalidArgument, "recipient_public_key: \(error.message)")
    }
  }
}

extension LeaseName {
  init(keyID: Int64, leaseID: [UInt8]) throws(RPCError) {
    guard let lease = LeaseID(bytes: leaseID) else {
      throw RPCError(.invalidArgument, "lease_id: it has 16 bytes, not \(leaseID.count)")
    }
    self.init(keyID: KeyID(rawValue: keyID), leaseID: lease)
  }
}

extension Duration {
  /// A ttl as requests give it: 0 is the default.
  init(ttlMs: UInt32, _ timing: Timing) throws(RPCError) {
    let range = Timing.leaseTTLRange
    let ttl: Duration = ttlMs == 0 ? timing.leaseTTL : .milliseconds(ttlMs)
    guard range.contains(ttl) else {
      let (least, most) = (range.lowerBound.wholeMilliseconds, range.upperBound.wholeMilliseconds)
      throw RPCError(.invalidArgument, "ttl_ms: \(ttlMs) is not between \(least) and \(most)")
    }
    self = ttl
  }

  /// Rounded down; times of calls and leases fit into 32 bits.
  var wholeMilliseconds: UInt32 {
    let (seconds, attoseconds) = components
    return UInt32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
  }
}
