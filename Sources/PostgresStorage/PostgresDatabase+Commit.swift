import Domain
import PostgresDriver
public import Storage
import TimeAndChance

extension PostgresDatabase {
  /// See `JobStore`.
  ///
  /// Results go to the server several to a round trip, each a transaction of its own.
  public func commit(_ results: [SignedBatch]) async throws(StorageError) -> [CommitOutcome] {
    var run = CommitRun(results)
    let backoff = Backoff(initial: .milliseconds(2), maximum: .milliseconds(200))
    var attempt = 0
    while !run.isDone {
      try await send(&run)
      if let failure = run.failure { throw StorageError(failure) }
      guard run.hasLostRaces else { continue }
      guard attempt < limits.retries else {
        throw StorageError(
          .unavailable, "\(run.left) results lost \(attempt + 1) races in the database: commit them again")
      }
      try await pause(backoff.delay(attempt: attempt, random: random))
      attempt += 1
    }
    return try run.allOutcomes()
  }

  /// Sends the next step of all results that are not decided.
  private func send(_ run: inout CommitRun) async throws(StorageError) {
    run.hasLostRaces = false
    let deadline = deadline
    var rest = run.next[...]
    while !rest.isEmpty {
      let chunk = Array(rest.prefix(limits.resultsPerRoundTrip))
      rest = rest.dropFirst(limits.resultsPerRoundTrip)
      let requests = chunk.map { run.request(for: $0) }
      let answers: [Result<PostgresResult, PostgresError>]
      do {
        answers = try await primary.withConnection(deadline: deadline) { connection in
          try await connection.pipeline(requests, deadline: deadline)
        }
      } catch {
        throw StorageError(from: error)
      }
      for (index, answer) in zip(chunk, answers) { try run.take(answer, for: index) }
    }
  }
}

/// The state of one call of `commit`: which step each result is at. A step never needs to know what the one before has seen,
/// so that any of them may be repeated.
private struct CommitRun {
  /// A result is first committed plainly; if one of its records was signed by another job, by counting; where neither
  /// stores it, the store is asked why; and a refusal is written down.
  enum Step {
    case plain, counting, look
    case note(CommitRefusal)

    var isPlain: Bool { if case .plain = self { true } else { false } }
  }

  let results: [SignedBatch]
  private var steps: [Step]
  private var outcomes: [CommitOutcome?]
  /// The first error that ends the call; an unknown outcome before all others.
  private(set) var failure: PostgresError?
  var hasLostRaces = false

  init(_ results: [SignedBatch]) {
    self.results = results
    steps = Array(repeating: .plain, count: results.count)
    outcomes = results.map { $0.isWellFormed ? nil : .refused(.wrongRecords) }
  }

  var isDone: Bool { outcomes.allSatisfy { $0 != nil } }
  var left: Int { outcomes.count { $0 == nil } }

  /// The results that are not decided.
  var next: [Int] { outcomes.indices.filter { outcomes[$0] == nil } }

  func request(for index: Int) -> PostgresRequest {
    switch steps[index] {
    case .plain: PostgresRequest(CommitStatements.plain, CommitStatements.parameters(results[index]))
    case .counting: PostgresRequest(CommitStatements.counting, CommitStatements.parameters(results[index]))
    case .look: PostgresRequest(CommitStatements.look, CommitStatements.lookParameters(results[index]))
    case .note(let refusal):
      PostgresRequest(CommitStatements.refusal, CommitStatements.refusalParameters(results[index], refusal))
    }
  }

  mutating func take(
    _ answer: Result<PostgresResult, PostgresError>, for index: Int
  ) throws(StorageError) {
    switch answer {
    case .success(let result):
      do {
        try take(result, for: index)
      } catch {
        throw StorageError(from: error)
      }
    case .failure(let error) where steps[index].isPlain && error.isSignatureTaken:
      steps[index] = .counting
    case .failure(let error) where error.hasLostRace:
      hasLostRaces = true
    case .failure(let error):
      if failure == nil || error.isOutcomeUnknown && failure?.isOutcomeUnknown == false { failure = error }
    }
  }

  private mutating func take(_ result: PostgresResult, for index: Int) throws {
    switch steps[index] {
    case .plain where result.rowCount > 0:
      outcomes[index] = .committed(inserted: results[index].recordIDs.count, alreadySigned: 0)
    case .counting where result.rowCount > 0:
      outcomes[index] = .committed(inserted: try result.number(0, 0), alreadySigned: try result.number(0, 1))
    case .plain, .counting: steps[index] = .look
    case .look:
      guard let outcome = try result.commitState().outcome(of: results[index]) else {
        throw StorageError(
          .corrupt,
          "batch \(results[index].batch) could not be committed although nothing speaks against it: this is a bug, report it"
        )
      }
      if case .refused(let refusal) = outcome { steps[index] = .note(refusal) } else { outcomes[index] = outcome }
    case .note(let refusal): outcomes[index] = .refused(refusal)
    }
  }

  func allOutcomes() throws(StorageError) -> [CommitOutcome] { outcomes.compactMap { $0 } }
}

extension PostgresError {
  /// Whether a record has a signature already.
  fileprivate var isSignatureTaken: Bool { sqlState == .uniqueViolation && table == "signatures" }
}

extension PostgresResult {
  /// Reads the one row of `CommitStatements.look`.
  fileprivate func commitState() throws -> CommitState {
    var batch: CommitState.Batch?
    if !isNull(row: 0, column: 0) {
      batch = CommitState.Batch(
        state: try name(0, 0), attempt: try int32(0, 1), ids: try int64(0, 2)...(try int64(0, 3)),
        count: try number(0, 4), algorithm: try algorithm(0, 5), form: try form(0, 16),
        keyID: try optionalInt64(0, 6).map { KeyID(rawValue: $0) },
        epoch: try optionalInt64(0, 7).map { Epoch(rawValue: $0) }, leaseID: try optionalUniqueID(0, 8),
        inserted: try number(0, 9), already: try number(0, 10))
    }
    var key: CommitState.SigningKey?
    if !isNull(row: 0, column: 11) {
      key = CommitState.SigningKey(
        state: try name(0, 11), epoch: try epoch(0, 12), leaseID: try optionalUniqueID(0, 13),
        algorithm: try algorithm(0, 14), holder: try optionalUniqueID(0, 15))
    }
    return CommitState(batch: batch, key: key)
  }
}
