import Testing

@testable import RPC

/// The next pass is never later than what is due and never closer than the granularity to the one before; a pass finds
/// exactly what is due.
@Suite struct CallTimersTests {
  private let start = ContinuousClock.now
  private typealias Deadlines = [(id: StreamID, deadline: ContinuousClock.Instant?)]

  private func at(_ milliseconds: Double) -> ContinuousClock.Instant {
    start.advanced(by: .nanoseconds(Int64(milliseconds * 1_000_000)))
  }

  private func deadlines(_ milliseconds: [UInt32: Double?]) -> Deadlines {
    milliseconds.map { (id: StreamID($0.key), deadline: $0.value.map(at)) }
  }

  @Test func nothingIsDueAtFirst() {
    var timers = CallTimers()
    #expect(timers.next == nil && !timers.isStalled)
    let due = timers.pass(at: at(1000), deadlines([1: 5]))
    #expect(due == ([], []))
  }

  @Test func theEarliestCounts() {
    var timers = CallTimers()
    for instant in [50.0, 30, 40] { timers.require(at(instant)) }
    #expect(timers.next == at(30))
    let early = timers.pass(at: at(29), deadlines([1: 20]))
    #expect(early == ([], []), "it is not time yet")
    #expect(timers.next == at(30))
  }

  @Test func aPassFindsWhatIsDue() {
    var timers = CallTimers()
    timers.require(at(10))
    let due = timers.pass(at: at(20), deadlines([9: 20, 3: 10, 5: 20.5, 7: 300, 1: nil]))
    #expect(due == ([StreamID(3), StreamID(9)], []))
    #expect(timers.next == at(21), "20.5 is closer than the granularity")
    let next = timers.pass(at: at(21), deadlines([5: 20.5, 7: 300, 1: nil]))
    #expect(next == ([StreamID(5)], []))
    #expect(timers.next == at(300))
    let last = timers.pass(at: at(300), deadlines([7: 300, 1: nil]))
    #expect(last == ([StreamID(7)], []))
    #expect(timers.next == nil)
  }

  /// A peer that asks for ever shorter deadlines does not cause a pass for each.
  @Test func passesAreApart() {
    var timers = CallTimers()
    timers.require(at(10))
    _ = timers.pass(at: at(10), deadlines([:]))
    timers.require(at(10.000001))
    #expect(timers.next == at(11))
    timers.require(at(5))
    #expect(timers.next == at(11))
  }

  @Test func stalls() {
    var timers = CallTimers()
    timers.beginStall(of: StreamID(3), until: at(30))
    timers.beginStall(of: StreamID(5), until: at(40))
    timers.endStall(of: StreamID(1))
    #expect(timers.isStalled && timers.next == at(30))
    let first = timers.pass(at: at(35), deadlines([:]))
    #expect(first == ([], [StreamID(3)]))
    timers.endStall(of: StreamID(3))
    #expect(timers.isStalled && timers.next == at(40))
    timers.endStall(of: StreamID(5))
    #expect(!timers.isStalled)
    let second = timers.pass(at: at(40), deadlines([:]))
    #expect(second == ([], []))
    #expect(timers.next == nil)
  }
}
