import Domain
import Testing

/// The states of jobs, batches, keys and records, by table: every pair of states, and what each kind of return costs.
@Suite struct StateMachineTests {
  @Test func jobStatesFollowTheTable() {
    let allowed: [JobState: Set<JobState>] = [
      .running: [.paused, .done, .cancelled], .paused: [.running, .cancelled, .done], .done: [.running], .cancelled: [],
    ]
    for from in JobState.allCases {
      for to in JobState.allCases {
        #expect(from.mayBecome(to) == allowed[from]!.contains(to), "\(from) → \(to)")
      }
    }
    #expect(JobState.allCases.filter(\.hasEnded) == [.done, .cancelled])
  }

  @Test func batchStatesFollowTheTable() {
    let allowed: [BatchState: Set<BatchState>] = [
      .pending: [.leased, .cancelled], .leased: [.pending, .signed, .failed, .cancelled], .signed: [],
      .failed: [.pending], .cancelled: [],
    ]
    for from in BatchState.allCases {
      for to in BatchState.allCases {
        #expect(from.mayBecome(to) == allowed[from]!.contains(to), "\(from) → \(to)")
      }
    }
  }

  @Test func retiredKeysStayRetired() {
    for from in KeyState.allCases {
      for to in KeyState.allCases {
        #expect(from.mayBecome(to) == (from != .retired || to == .retired), "\(from) → \(to)")
      }
    }
  }

  @Test func aSignatureOutweighsEverything() {
    for hasFailure in [false, true] {
      for isLeased in [false, true] {
        #expect(RecordState(hasSignature: true, hasFailure: hasFailure, isInLeasedBatch: isLeased) == .signed)
      }
      #expect(
        RecordState(hasSignature: false, hasFailure: hasFailure, isInLeasedBatch: true)
          == (hasFailure ? .failed : .leased))
    }
    #expect(RecordState(hasSignature: false, hasFailure: false, isInLeasedBatch: false) == .pending)
  }

  @Test func plannedStopsAndMissingKeysCostNothing() {
    let budget = BatchBudget()
    let spent = BatchBudget.Spent(failures: 4, signerLosses: 19)
    for cause in [BatchReturn.drained, .keyUnavailable] {
      let settled = budget.settle(cause, spent)
      #expect(settled.state == .pending)
      #expect(settled.spent == spent)
    }
    #expect(budget.settle(.drained, spent).backoffAttempt == nil)
    #expect(budget.settle(.keyUnavailable, spent).backoffAttempt == 0)
  }

  @Test func failuresAndLostSignersHaveBudgetsOfTheirOwn() {
    let budget = BatchBudget()
    var spent = BatchBudget.Spent()
    for loss in 1...20 {
      let settled = budget.settle(.signerLost, spent)
      #expect(settled.state == (loss == 20 ? .failed : .pending))
      #expect(settled.backoffAttempt == (loss == 1 ? nil : loss - 2))
      spent = settled.spent
    }
    #expect(spent == BatchBudget.Spent(failures: 0, signerLosses: 20))

    spent = BatchBudget.Spent()
    for failure in 1...5 {
      let settled = budget.settle(.failed(reason: "x"), spent)
      #expect(settled.state == (failure == 5 ? .failed : .pending))
      #expect(settled.backoffAttempt == failure - 1)
      spent = settled.spent
    }
  }

  @Test func aHolderStopsAMarginBeforeTheEndOfItsLease() {
    let sent = ContinuousClock.now
    let deadline = LeaseDeadline(sent: sent, waited: .seconds(2), ttl: .seconds(10), margin: .seconds(1))
    #expect(!deadline.hasPassed(at: sent.advanced(by: .seconds(11) - .nanoseconds(1))))
    #expect(deadline.hasPassed(at: sent.advanced(by: .seconds(11))))
  }

  @Test func aReplicaOfAnotherTimelineKnowsNothing() {
    let needed = ReplayPosition(position: 100, timeline: 1)
    #expect(needed.isReached(by: ReplayPosition(position: 100, timeline: 1)))
    #expect(!needed.isReached(by: ReplayPosition(position: 99, timeline: 1)))
    #expect(!needed.isReached(by: ReplayPosition(position: 1000, timeline: 2)))
  }
}
