import Domain
import Storage
import Synchronization
import Testing
import TimeAndChance

/// What the tests have in common: ids, records, keys, jobs, and results as signers would send them.
///
/// A scene plays the lease cache too: `decide` numbers the decisions of the generation that was begun last.
final class Scene: Sendable {
  let harness: any StorageHarness
  private let random = SeededRandom(seed: 1)
  private let decisions = Mutex<DecisionNumber?>(nil)

  init(_ harness: any StorageHarness) { self.harness = harness }

  var store: any AllStores { harness.store }

  func id<Entity>() -> UniqueID<Entity> { UniqueID(bytes: random.nextUUID())! }

  func advance(_ duration: Duration) async throws { try await harness.advance(by: duration) }

  // MARK: - Records and jobs

  static func payload(_ number: Int) -> [UInt8] { Array("payload \(number)".utf8) }

  @discardableResult
  func putRecords(_ count: Int, from first: Int = 1) async throws -> PutOutcome {
    try await store.put((first..<first + count).map { NewRecord(payload: Self.payload($0), externalID: nil) })
  }

  func records() async throws -> Source {
    try #require(try await store.source(named: Source.records))
  }

  func submission(
    size: Int = 2, source: String = Source.records, algorithm: SignatureAlgorithm = .ecdsaP256, priority: Int = 0,
    key: String? = nil
  ) throws -> JobSubmission {
    JobSubmission(
      id: id(), sourceName: source, algorithm: algorithm, batchSize: try #require(BatchSize(rawValue: size)),
      priority: try #require(JobPriority(rawValue: priority)),
      idempotencyKey: try key.map { try #require(IdempotencyKey(rawValue: $0)) })
  }

  func job(_ id: JobID) async throws -> Job { try #require(try await store.job(id)) }

  /// A job over what is in the source, with a key for it, wholly planned.
  func plannedJob(size: Int = 2, source: String = Source.records, priority: Int = 0) async throws -> Job {
    if try await store.activeKeyCount(.ecdsaP256) == 0 { try await addKeys(1) }
    let job = try await store.submit(try submission(size: size, source: source, priority: priority))
    _ = try await store.plan(target: 1000)
    return try await self.job(job.id)
  }

  func claim(
    _ limit: Int = 1, of algorithms: Set<SignatureAlgorithm> = Set(SignatureAlgorithm.allCases),
    by coordinator: CoordinatorID? = nil
  ) async throws -> [ClaimedBatch] {
    let coordinator = coordinator ?? id()
    try await store.heartbeat(coordinator)
    return try await store.claim(algorithms, coordinator: coordinator, claim: id(), limit: limit)
  }

  func claimOne() async throws -> ClaimedBatch {
    try #require(try await claim().first)
  }

  /// Every record of a batch.
  func payloads(_ batch: ClaimedBatch) async throws -> PayloadPage {
    try await store.payloads(of: batch, after: nil, maximumBytes: .max)
  }

  // MARK: - Keys and leases

  @discardableResult
  func addKeys(_ count: Int, _ algorithm: SignatureAlgorithm = .ecdsaP256) async throws -> [KeyID] {
    let keys = try await store.reserveKeyIDs(count).map { id in newKey(id, algorithm) }
    return try await store.insert(keys).map(\.id)
  }

  func newKey(_ id: KeyID, _ algorithm: SignatureAlgorithm = .ecdsaP256) -> NewKey {
    NewKey(
      id: id, algorithm: algorithm, publicKey: Array("public key \(id)".utf8),
      wrappedPrivateKey: Array("wrapped key \(id)".utf8), keyEncryptionKeyID: "kek-1", label: "label \(id)")
  }

  /// Fills the cache that the scene plays: returns the active keys, least recently used first.
  @discardableResult
  func beginGeneration(_ algorithm: SignatureAlgorithm = .ecdsaP256) async throws -> [LeasedKeyState] {
    let (generation, keys) = try await store.beginGeneration(algorithm)
    decisions.withLock { $0 = DecisionNumber(generation: generation, sequence: Int64(keys.count)) }
    return keys
  }

  /// The next decision of the cache.
  func decide() -> DecisionNumber {
    decisions.withLock { decision in
      decision?.sequence += 1
      return decision!
    }
  }

  func state(_ key: KeyID) async throws -> LeasedKeyState {
    try #require(try await store.leaseStates([key]).first)
  }

  /// The request of a cache that knows the key as it is.
  func request(
    _ key: KeyID, holder: SignerID? = nil, ttl: Duration = .seconds(1000), rank: Int64 = 0
  ) async throws -> GrantRequest {
    let state = try await state(key)
    return GrantRequest(
      keyID: key, epoch: state.epoch, leaseID: id(), holder: holder ?? id(), ttl: ttl, decision: decide(), rank: rank)
  }

  /// Grants a lease that must be granted.
  func lease(_ key: KeyID, ttl: Duration = .seconds(1000), rank: Int64 = 0) async throws -> Lease {
    let request = try await request(key, ttl: ttl, rank: rank)
    let outcome = try await store.grant([request])
    guard case .granted(let epoch) = outcome.first else {
      throw Unexpected("key \(key) was not granted: \(outcome)")
    }
    return Lease(
      keyID: key, leaseID: request.leaseID, epoch: epoch, holder: request.holder, decision: request.decision)
  }

  /// A lease of a fresh key, in a fresh generation.
  func leaseOfNewKey(_ algorithm: SignatureAlgorithm = .ecdsaP256) async throws -> Lease {
    let key = try #require(try await addKeys(1, algorithm).first)
    try await beginGeneration(algorithm)
    return try await lease(key)
  }

  /// Ends a lease as its holder does, with the next decision.
  func release(_ lease: Lease, isExpiry: Bool = false) async throws -> Int64 {
    let decision = decide()
    _ = try await store.endLeases([lease.name])
    try await store.recordReleases([LeaseRelease(lease: lease.name, decision: decision, isExpiry: isExpiry)])
    return decision.sequence
  }

  // MARK: - Results

  /// What a signer sends for the records that it found, but for those that fail.
  func result(
    _ batch: ClaimedBatch, _ lease: Lease, failing: Set<Int64> = []
  ) async throws -> SignedBatch {
    let ids = try await payloads(batch).ids
    return result(batch, lease, ids: ids.filter { !failing.contains($0) }, failing: failing.sorted())
  }

  func result(_ batch: ClaimedBatch, _ lease: Lease, ids: [Int64], failing: [Int64] = []) -> SignedBatch {
    let signatures = ids.map { Self.signature($0, lease.keyID) }
    return SignedBatch(
      batch: batch.batch, signer: lease.holder, keyID: lease.keyID, epoch: lease.epoch, leaseID: lease.leaseID,
      recordIDs: ids, signatureSizes: signatures.map { UInt32($0.count) }, signatures: signatures.flatMap { $0 },
      payloadDigests: ids.flatMap { Self.digest($0) },
      failures: failing.map {
        RecordFailure(recordID: RecordID(rawValue: $0), code: .signingFailed, message: "cannot sign \($0)")
      })
  }

  /// Of a size that differs from record to record, as ECDSA's do.
  static func signature(_ id: Int64, _ key: KeyID) -> [UInt8] {
    Array("signature of \(id) by \(key)".utf8)
  }

  static func digest(_ id: Int64) -> [UInt8] {
    (0..<32).map { UInt8(truncatingIfNeeded: id &+ $0) }
  }

  /// Claims the next batch and signs it under the lease.
  @discardableResult
  func signNext(_ lease: Lease) async throws -> CommitOutcome {
    let batch = try await claimOne()
    return try await commit(try await result(batch, lease))
  }

  func commit(_ result: SignedBatch) async throws -> CommitOutcome {
    try #require(try await store.commit([result]).first)
  }

  func storedCount() async throws -> Int {
    let query = SignatureQuery(source: try await records(), job: nil, includesPayload: false)
    return try await store.signatures(query, after: nil, maximumBytes: .max).count
  }
}

/// A lease as its holder knows it.
struct Lease: Sendable {
  var keyID: KeyID
  var leaseID: LeaseID
  var epoch: Epoch
  var holder: SignerID
  var decision: DecisionNumber

  var name: LeaseName { LeaseName(keyID: keyID, leaseID: leaseID) }
}

struct Unexpected: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// Expects an error of the store with this code whose message holds all of `words`.
func expectError<Value>(
  _ code: StorageError.Code, naming words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () async throws -> Value
) async {
  do {
    let value = try await body()
    Issue.record("expected \(code.rawValue), got \(value)", sourceLocation: sourceLocation)
  } catch let error as StorageError {
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    for word in words {
      #expect(error.message.contains(word), "\(error)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("expected \(code.rawValue), got \(error)", sourceLocation: sourceLocation)
  }
}
