import Domain
import PostgresStorage
import Storage

/// All stores, each with the rights of the service that uses it: what a case of the suite does, the roles allow.
struct RoutedStores: AuditStore, EventStore, JobStore, KeyStore, RecordStore {
  let coordinator: PostgresDatabase
  let keyKeeper: PostgresDatabase
  let logger: PostgresDatabase

  // MARK: - As the coordinator

  func put(_ records: [NewRecord]) async throws(StorageError) -> PutOutcome { try await coordinator.put(records) }

  func record(_ name: RecordName, source: Source) async throws(StorageError) -> Record? {
    try await coordinator.record(name, source: source)
  }

  func status(_ name: RecordName, source: Source, job: JobID?) async throws(StorageError) -> RecordStatus? {
    try await coordinator.status(name, source: source, job: job)
  }

  func source(named name: String) async throws(StorageError) -> Source? { try await coordinator.source(named: name) }

  func sources() async throws(StorageError) -> [Source] { try await coordinator.sources() }

  func payloads(
    of batch: ClaimedBatch, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> PayloadPage {
    try await coordinator.payloads(of: batch, after: after, maximumBytes: maximumBytes)
  }

  func failures(of job: JobID, after: RecordID?, limit: Int) async throws(StorageError) -> [RecordFailure] {
    try await coordinator.failures(of: job, after: after, limit: limit)
  }

  func signatures(
    _ query: SignatureQuery, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> [StoredSignature] {
    try await coordinator.signatures(query, after: after, maximumBytes: maximumBytes)
  }

  func submit(_ submission: JobSubmission) async throws(StorageError) -> Job {
    try await coordinator.submit(submission)
  }

  func job(_ id: JobID) async throws(StorageError) -> Job? { try await coordinator.job(id) }

  func jobs(limit: Int, before: JobCursor?) async throws(StorageError) -> [Job] {
    try await coordinator.jobs(limit: limit, before: before)
  }

  func setState(_ id: JobID, to state: JobState) async throws(StorageError) -> Job {
    try await coordinator.setState(id, to: state)
  }

  func retryFailed(_ id: JobID) async throws(StorageError) -> Int { try await coordinator.retryFailed(id) }

  func plan(target: Int) async throws(StorageError) -> Int { try await coordinator.plan(target: target) }

  func claim(
    _ algorithms: Set<SignatureAlgorithm>, coordinator id: CoordinatorID, claim: ClaimID, limit: Int
  ) async throws(StorageError) -> [ClaimedBatch] {
    try await coordinator.claim(algorithms, coordinator: id, claim: claim, limit: limit)
  }

  func batchesClaimed(by id: CoordinatorID) async throws(StorageError) -> [BatchAttempt] {
    try await coordinator.batchesClaimed(by: id)
  }

  func giveBack(_ returns: [ReturnedBatch]) async throws(StorageError) -> Int {
    try await coordinator.giveBack(returns)
  }

  func commit(_ results: [SignedBatch]) async throws(StorageError) -> [CommitOutcome] {
    try await coordinator.commit(results)
  }

  func endFinishedJobs() async throws(StorageError) -> [Job] { try await coordinator.endFinishedJobs() }

  func backlog() async throws(StorageError) -> Backlog { try await coordinator.backlog() }

  func heartbeat(_ id: CoordinatorID) async throws(StorageError) { try await coordinator.heartbeat(id) }

  func reclaimFromStaleCoordinators(timeout: Duration) async throws(StorageError) -> Int {
    try await coordinator.reclaimFromStaleCoordinators(timeout: timeout)
  }

  func unregister(_ id: CoordinatorID) async throws(StorageError) { try await coordinator.unregister(id) }

  func audit() async throws(StorageError) -> AuditReport { try await coordinator.audit() }

  // MARK: - As the KeyKeeper

  func reserveKeyIDs(_ count: Int) async throws(StorageError) -> [KeyID] { try await keyKeeper.reserveKeyIDs(count) }

  func insert(_ keys: [NewKey]) async throws(StorageError) -> [Key] { try await keyKeeper.insert(keys) }

  func key(_ id: KeyID) async throws(StorageError) -> Key? { try await keyKeeper.key(id) }

  func keys(algorithm: SignatureAlgorithm?, after: KeyID?, limit: Int) async throws(StorageError) -> [Key] {
    try await keyKeeper.keys(algorithm: algorithm, after: after, limit: limit)
  }

  func activeKeyCount(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> Int {
    try await keyKeeper.activeKeyCount(algorithm)
  }

  func wrappedPrivateKey(_ id: KeyID) async throws(StorageError) -> [UInt8] {
    try await keyKeeper.wrappedPrivateKey(id)
  }

  func setState(_ id: KeyID, to state: KeyState) async throws(StorageError) -> Key {
    try await keyKeeper.setState(id, to: state)
  }

  func grant(_ requests: [GrantRequest]) async throws(StorageError) -> [GrantOutcome] {
    try await keyKeeper.grant(requests)
  }

  func renew(_ id: KeyID, lease: LeaseID, ttl: Duration) async throws(StorageError) -> Bool {
    try await keyKeeper.renew(id, lease: lease, ttl: ttl)
  }

  func endLeases(_ leases: [LeaseName]) async throws(StorageError) -> [Bool] { try await keyKeeper.endLeases(leases) }

  func recordReleases(_ releases: [LeaseRelease]) async throws(StorageError) {
    try await keyKeeper.recordReleases(releases)
  }

  func beginGeneration(
    _ algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> (generation: Int64, keys: [LeasedKeyState]) {
    try await keyKeeper.beginGeneration(algorithm)
  }

  func joinGeneration(_ ids: [KeyID], decision: DecisionNumber) async throws(StorageError) {
    try await keyKeeper.joinGeneration(ids, decision: decision)
  }

  func leaseStates(_ ids: [KeyID]) async throws(StorageError) -> [LeasedKeyState] {
    try await keyKeeper.leaseStates(ids)
  }

  // MARK: - As the Logger

  func append(_ events: [StoredEvent]) async throws(StorageError) { try await logger.append(events) }

  func events(
    _ filter: EventFilter, order: EventOrder, after position: EventPosition?, limit: Int
  ) async throws(StorageError) -> [PlacedEvent] {
    try await logger.events(filter, order: order, after: position, limit: limit)
  }

  func retainEvents(days: Int) async throws(StorageError) -> Int { try await logger.retainEvents(days: days) }
}
