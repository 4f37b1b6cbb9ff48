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
    let (first, second) = (ledger.open([.ecdsaP256]), ledger.open([.ecdsaP256]))
    ledger.addCredit(1, to: first)
    ledger.addCredit(2, to: second)
    #expect(ledger.batchCredit == 3)
    expect(ledger.assign(batch(0), .ecdsaP256, now: now), is: second)
    expect(ledger.assign(batch(1), .ecdsaP256, now: now), is: first)
    expect(ledger.assign(batch(2), .ecdsaP256, now: now), is: second)
    expect(ledger.assign(batch(3), .ecdsaP256, now: now), is: nil)
    #expect(ledger.batchCredit == 0 && ledger.batchCount == 3)
  }

  @Test func batchesAreClaimedOnceASignerHasAQuarterFree() {
    var ledger = WorkLedger()
    #expect(!ledger.isWorthAClaim)
    let (busy, draining) = (ledger.open([.ecdsaP256]), ledger.open([.ecdsaP256]))
    ledger.addCredit(8, to: busy)
    for seq in 0..<7 { _ = ledger.assign(batch(Int32(seq)), .ecdsaP256, now: now) }
    #expect(!ledger.isWorthAClaim)
    // What is being stored is no longer with the signer, whose credit comes back by itself.
    for seq in 0..<4 { _ = ledger.beginCommit(batch(Int32(seq)), of: busy) }
    #expect(ledger.isWorthAClaim)
    ledger.addCredit(1, to: busy)
    ledger.drain(busy)
    ledger.addCredit(9, to: draining)
    ledger.drain(draining)
    #expect(!ledger.isWorthAClaim)
    // Of several signers one is enough: another may have few free.
    ledger.addCredit(1, to: ledger.open([.ecdsaP256]))
    #expect(ledger.isWorthAClaim)
  }

  @Test func aSignerGetsOnlyWhatItCanSign() {
    var ledger = WorkLedger()
    let (curves, rsa) = (ledger.open([.ecdsaP256, .ed25519]), ledger.open([.rsaPSS2048]))
    ledger.addCredit(1, to: curves)
    #expect(ledger.algorithms == [.ecdsaP256, .ed25519])
    ledger.addCredit(9, to: rsa)
    expect(ledger.assign(batch(0), .ed25519, now: now), is: curves)
    #expect(ledger.algorithms == [.rsaPSS2048])
    expect(ledger.assign(batch(1), .ecdsaP256, now: now), is: nil)
    expect(ledger.assign(batch(1), .rsaPSS2048, now: now), is: rsa)
  }

  @Test func recordsThatWereNotSentAreRememberedUntilTheResult() {
    let unsent = WorkLedger.Unsent(missing: 3, failures: [.payloadMissing(RecordID(rawValue: 7))])
    var ledger = WorkLedger()
    let session = ledger.open([.ecdsaP256])
    ledger.addCredit(1, to: session)
    _ = ledger.assign(batch(0), .ecdsaP256, now: now)
    ledger.leaveOut(unsent, of: batch(0), of: session)
    expect(ledger.progress(batch(0), of: session, now: now), is: true)
    expect(ledger.beginCommit(batch(0), of: session), is: unsent)
    // Of a batch that is not here nothing is remembered.
    ledger.leaveOut(unsent, of: batch(1), of: session)
    expect(ledger.beginCommit(batch(1), of: session), is: WorkLedger.Unsent())
  }

  @Test func aDrainingSignerGetsNothingNew() {
    var ledger = WorkLedger()
    let session = ledger.open([.ecdsaP256])
    ledger.addCredit(5, to: session)
    ledger.drain(session)
    #expect(ledger.batchCredit == 0)
    expect(ledger.assign(batch(0), .ecdsaP256, now: now), is: nil)
  }

  @Test func whatALostSignerHadComesBackButNotWhatIsBeingStored() {
    var ledger = WorkLedger()
    let session = ledger.open([.ecdsaP256])
    ledger.addCredit(3, to: session)
    for seq in 0..<3 { _ = ledger.assign(batch(Int32(seq)), .ecdsaP256, now: now) }
    expect(ledger.beginCommit(batch(1), of: session), is: WorkLedger.Unsent())
    expect(ledger.close(session), is: [batch(0), batch(2)])
    #expect(ledger.has(batch(1)) && !ledger.has(batch(0)))
    #expect(ledger.sessionCount == 0)
    expect(ledger.remove(batch(1), of: session), is: true)
    #expect(ledger.batchCount == 0)
    expect(ledger.close(session), is: [])
  }

  @Test func aResultIsStoredOnce() {
    var ledger = WorkLedger()
    let session = ledger.open([.ecdsaP256])
    ledger.addCredit(1, to: session)
    _ = ledger.assign(batch(0), .ecdsaP256, now: now)
    expect(ledger.beginCommit(batch(0), of: session), is: WorkLedger.Unsent())
    expect(ledger.beginCommit(batch(0), of: session), is: nil)
    expect(ledger.remove(batch(0), of: session), is: true)
    expect(ledger.remove(batch(0), of: session), is: false)
  }

  @Test func aResultOfAForgottenBatchIsTakenUpAgain() {
    var ledger = WorkLedger()
    let session = ledger.open([.ecdsaP256])
    expect(ledger.beginCommit(batch(9), of: session), is: WorkLedger.Unsent())
    #expect(ledger.has(batch(9)))
    expect(ledger.beginCommit(batch(9), of: session + 1), is: nil)
  }

  @Test func silentBatchesAreTakenBackAndHeardOnesKept() {
    var ledger = WorkLedger()
    let session = ledger.open([.ecdsaP256])
    ledger.addCredit(3, to: session)
    for seq in 0..<3 { _ = ledger.assign(batch(Int32(seq)), .ecdsaP256, now: now) }
    let later = now.advanced(by: .seconds(2))
    expect(ledger.progress(batch(1), of: session, now: later), is: true)
    expect(ledger.beginCommit(batch(2), of: session), is: WorkLedger.Unsent())
    expect(ledger.takeStale(before: now.advanced(by: .seconds(1))), is: [batch(0)])
    expect(ledger.progress(batch(0), of: session, now: later), is: false)
    #expect(ledger.has(batch(1)) && ledger.has(batch(2)))
  }
}
