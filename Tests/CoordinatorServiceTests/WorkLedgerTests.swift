import Domain
import Testing

@testable import CoordinatorService

/// The ledger of what signers have: credit is never overdrawn, a batch is with one signer, and none gets lost when a signer
/// leaves, stalls or is being settled.
@Suite struct WorkLedgerTests {
  private let now = ContinuousClock.now
  private let job = JobID(bytes: [UInt8](repeating: 7, count: 16))!

  /// As `#expect`, which takes no mutating calls.
  private func expect<Value: Equatable>(
    _ value: Value, is expected: Value, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(value == expected, sourceLocation: sourceLocation)
  }

  private func batch(_ seq: Int32) -> BatchAttempt { BatchAttempt(jobID: job, seq: seq, attempt: 1) }

  @Test func creditIsSpentOnTheSignerThatHasMost() {
    var ledger = WorkLedger()
    let (first, second) = (ledger.open(), ledger.open())
    ledger.addCredit(1, to: first)
    ledger.addCredit(2, to: second)
    #expect(ledger.batchCredit == 3)
    expect(ledger.assign(batch(0), now: now), is: second)
    expect(ledger.assign(batch(1), now: now), is: first)
    expect(ledger.assign(batch(2), now: now), is: second)
    expect(ledger.assign(batch(3), now: now), is: nil)
    #expect(ledger.batchCredit == 0 && ledger.batchCount == 3)
  }

  @Test func aDrainingSignerGetsNothingNew() {
    var ledger = WorkLedger()
    let session = ledger.open()
    ledger.addCredit(5, to: session)
    ledger.drain(session)
    #expect(ledger.batchCredit == 0)
    expect(ledger.assign(batch(0), now: now), is: nil)
  }

  @Test func whatALostSignerHadComesBackButNotWhatIsBeingStored() {
    var ledger = WorkLedger()
    let session = ledger.open()
    ledger.addCredit(3, to: session)
    for seq in 0..<3 { _ = ledger.assign(batch(Int32(seq)), now: now) }
    expect(ledger.beginCommit(batch(1), of: session), is: true)
    expect(ledger.close(session), is: [batch(0), batch(2)])
    #expect(ledger.has(batch(1)) && !ledger.has(batch(0)))
    #expect(ledger.sessionCount == 0)
    expect(ledger.remove(batch(1), of: session), is: true)
    #expect(ledger.batchCount == 0)
    expect(ledger.close(session), is: [])
  }

  @Test func aResultIsStoredOnce() {
    var ledger = WorkLedger()
    let session = ledger.open()
    ledger.addCredit(1, to: session)
    _ = ledger.assign(batch(0), now: now)
    expect(ledger.beginCommit(batch(0), of: session), is: true)
    expect(ledger.beginCommit(batch(0), of: session), is: false)
    expect(ledger.remove(batch(0), of: session), is: true)
    expect(ledger.remove(batch(0), of: session), is: false)
  }

  @Test func aResultOfAForgottenBatchIsTakenUpAgain() {
    var ledger = WorkLedger()
    let session = ledger.open()
    expect(ledger.beginCommit(batch(9), of: session), is: true)
    #expect(ledger.has(batch(9)))
    expect(ledger.beginCommit(batch(9), of: session + 1), is: false)
  }

  @Test func silentBatchesAreTakenBackAndHeardOnesKept() {
    var ledger = WorkLedger()
    let session = ledger.open()
    ledger.addCredit(3, to: session)
    for seq in 0..<3 { _ = ledger.assign(batch(Int32(seq)), now: now) }
    let later = now.advanced(by: .seconds(2))
    expect(ledger.progress(batch(1), of: session, now: later), is: true)
    expect(ledger.beginCommit(batch(2), of: session), is: true)
    expect(ledger.takeStale(before: now.advanced(by: .seconds(1))), is: [batch(0)])
    expect(ledger.progress(batch(0), of: session, now: later), is: false)
    #expect(ledger.has(batch(1)) && ledger.has(batch(2)))
  }
}
