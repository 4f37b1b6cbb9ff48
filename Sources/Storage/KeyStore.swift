public import Domain

/// What everybody may know of the keyring.
public protocol PublicKeyStore: Sendable {
  /// One key, nil if there is none.
  func key(_ id: KeyID) async throws(StorageError) -> Key?
}

/// The keyring and the leases of its keys. The store alone mints epochs: it is what fences.
public protocol KeyStore: PublicKeyStore {
  /// Reserves `count` ids, so that a private key can be wrapped with its id before it is stored.
  func reserveKeyIDs(_ count: Int) async throws(StorageError) -> [KeyID]

  /// Adds keys, all or none. Throws `conflict` naming the key when a public key is in the keyring.
  func insert(_ keys: [NewKey]) async throws(StorageError) -> [Key]

  /// At most `limit` keys after the id `after`, ascending; of one algorithm or of all.
  func keys(algorithm: SignatureAlgorithm?, after: KeyID?, limit: Int) async throws(StorageError) -> [Key]

  /// How many active keys of an algorithm there are.
  func activeKeyCount(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> Int

  /// The wrapped private key. Throws `notFound`.
  func wrappedPrivateKey(_ id: KeyID) async throws(StorageError) -> [UInt8]

  /// Moves a key to a state. Disabling mints an epoch, so that work under its lease is refused. Throws `notFound`, or
  /// `wrongState` where the key may not go there.
  func setState(_ id: KeyID, to state: KeyState) async throws(StorageError) -> Key

  /// Grants leases that the cache has picked, each a compare-and-set on epoch, generation and the end of the previous lease;
  /// writes the audit trail. One outcome for each request, in order.
  func grant(_ requests: [GrantRequest]) async throws(StorageError) -> [GrantOutcome]

  /// Extends a lease to `ttl` from now; returns whether it was live.
  func renew(_ id: KeyID, lease: LeaseID, ttl: Duration) async throws(StorageError) -> Bool

  /// Ends leases at once, each if it is the key's newest, so that the key can be granted again. Idempotent. Returns for each
  /// whether it was the newest.
  func endLeases(_ leases: [LeaseName]) async throws(StorageError) -> [Bool]

  /// Writes into the audit trail with which decision the cache made keys free. Needed by the audit alone: the records may
  /// come later than the next grant, and what a crash loses makes that grant undecidable, not wrong.
  func recordReleases(_ releases: [LeaseRelease]) async throws(StorageError)

  /// Mints the next cache generation of an algorithm and writes it on all its keys, with their order, which stops every
  /// grant that was picked under an older one. Returns the generation and the active keys, least recently used first:
  /// never used ones by id, then by their last release, or grant where no release was recorded.
  func beginGeneration(
    _ algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> (generation: Int64, keys: [LeasedKeyState])

  /// Writes with which decision the cache took up keys that were added or enabled after its generation began, and makes
  /// them grantable under that generation.
  func joinGeneration(_ ids: [KeyID], decision: DecisionNumber) async throws(StorageError)

  /// The keys named, as a cache needs them.
  func leaseStates(_ ids: [KeyID]) async throws(StorageError) -> [LeasedKeyState]
}

/// A key to add.
public struct NewKey: Sendable, Hashable {
  /// Its reserved id.
  public var id: KeyID
  /// What it signs with.
  public var algorithm: SignatureAlgorithm
  /// DER of its SubjectPublicKeyInfo.
  public var publicKey: [UInt8]
  /// The private key, encrypted under a key-encryption key.
  public var wrappedPrivateKey: [UInt8]
  /// Which key-encryption key.
  public var keyEncryptionKeyID: String
  /// For people; may be empty.
  public var label: String

  /// Makes a key to add.
  public init(
    id: KeyID, algorithm: SignatureAlgorithm, publicKey: [UInt8], wrappedPrivateKey: [UInt8],
    keyEncryptionKeyID: String, label: String
  ) {
    self.id = id
    self.algorithm = algorithm
    self.publicKey = publicKey
    self.wrappedPrivateKey = wrappedPrivateKey
    self.keyEncryptionKeyID = keyEncryptionKeyID
    self.label = label
  }
}

/// A point in the sequence of the cache's decisions: a number within a generation.
public struct DecisionNumber: Sendable, Hashable, Comparable {
  /// Minted by the store before the cache was built.
  public var generation: Int64
  /// Counted by the cache.
  public var sequence: Int64

  /// Makes a number.
  public init(generation: Int64, sequence: Int64) {
    self.generation = generation
    self.sequence = sequence
  }

  /// Later generations follow earlier ones.
  public static func < (left: DecisionNumber, right: DecisionNumber) -> Bool {
    (left.generation, left.sequence) < (right.generation, right.sequence)
  }
}

/// A lease that the cache has picked and the store is to grant.
public struct GrantRequest: Sendable, Hashable {
  /// The key picked.
  public var keyID: KeyID
  /// The epoch that the cache knows: the grant fails if it is not the key's.
  public var epoch: Epoch
  /// A fresh id.
  public var leaseID: LeaseID
  /// Who gets it.
  public var holder: SignerID
  /// How long it lives without being renewed.
  public var ttl: Duration
  /// When the cache picked it.
  public var decision: DecisionNumber
  /// When the cache had made it free, as a number within the same generation: by this rank it was the least recently used.
  public var rank: Int64

  /// Makes a request.
  public init(
    keyID: KeyID, epoch: Epoch, leaseID: LeaseID, holder: SignerID, ttl: Duration, decision: DecisionNumber, rank: Int64
  ) {
    self.keyID = keyID
    self.epoch = epoch
    self.leaseID = leaseID
    self.holder = holder
    self.ttl = ttl
    self.decision = decision
    self.rank = rank
  }
}

/// What became of a grant.
public enum GrantOutcome: Sendable, Hashable {
  /// The lease is granted under this epoch.
  case granted(Epoch)
  /// The cache was wrong about the key; this is how it is. The failed pick is in the audit trail. Nil: there is no such key.
  case stale(LeasedKeyState?)
}

/// Names a lease of a key.
public struct LeaseName: Sendable, Hashable {
  /// The key.
  public var keyID: KeyID
  /// The lease.
  public var leaseID: LeaseID

  /// Names a lease.
  public init(keyID: KeyID, leaseID: LeaseID) {
    self.keyID = keyID
    self.leaseID = leaseID
  }
}

/// A lease that has ended, and with which decision the cache made its key free.
public struct LeaseRelease: Sendable, Hashable {
  /// Which lease.
  public var lease: LeaseName
  /// When the cache made the key free.
  public var decision: DecisionNumber
  /// Whether it ended by expiry rather than by its holder.
  public var isExpiry: Bool

  /// Makes a release.
  public init(lease: LeaseName, decision: DecisionNumber, isExpiry: Bool) {
    self.lease = lease
    self.decision = decision
    self.isExpiry = isExpiry
  }
}

/// A key as a lease cache needs it.
public struct LeasedKeyState: Sendable, Hashable {
  /// The key.
  public var keyID: KeyID
  /// Its algorithm.
  public var algorithm: SignatureAlgorithm
  /// Whether it may be leased.
  public var isActive: Bool
  /// Its newest lease's number.
  public var epoch: Epoch
  /// The cache generation that may grant it.
  public var generation: Int64
  /// The newest lease, if it has not been released.
  public var leaseID: LeaseID?
  /// How long that lease still lives; not positive if it has expired.
  public var remaining: Duration

  /// Makes a state.
  public init(
    keyID: KeyID, algorithm: SignatureAlgorithm, isActive: Bool, epoch: Epoch, generation: Int64, leaseID: LeaseID?,
    remaining: Duration
  ) {
    self.keyID = keyID
    self.algorithm = algorithm
    self.isActive = isActive
    self.epoch = epoch
    self.generation = generation
    self.leaseID = leaseID
    self.remaining = remaining
  }
}
