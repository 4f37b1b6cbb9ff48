import Testing
import TimeAndChance

/// Jitter stays in its bounds, a seed decides a sequence, and a doorbell loses no ring.
@Suite struct TimeAndChanceTests {
  @Test func backoffStaysWithinItsBounds() {
    let backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10))
    let random = SeededRandom(seed: 1)
    for attempt in 0..<64 {
      let ceiling = min(Duration.seconds(10), .milliseconds(100) * (1 << min(attempt, 30)))
      for _ in 0..<50 {
        let delay = backoff.delay(attempt: attempt, random: random)
        #expect(delay >= .milliseconds(100) && delay <= ceiling)
      }
    }
    #expect(backoff.delay(attempt: 0, random: random) == .milliseconds(100))
  }

  @Test func oneSeedGivesOneSequence() {
    let (first, second) = (SeededRandom(seed: 7), SeededRandom(seed: 7))
    #expect((0..<100).allSatisfy { _ in first.next() == second.next() })
    #expect(SeededRandom(seed: 8).next() != SeededRandom(seed: 7).next())
    // The first value that the reference implementation of SplitMix64 gives for the seed 0.
    #expect(SeededRandom(seed: 0).next() == 0xE220_A839_7B1D_CDAF)
  }

  @Test func numbersBelowABoundAreBelowItAndCoverIt() {
    let random = SeededRandom(seed: 3)
    var seen = Set<Int>()
    for _ in 0..<1000 {
      let value = random.next(below: 10)
      #expect((0..<10).contains(value))
      seen.insert(value)
    }
    #expect(seen.count == 10)
  }

  @Test func uuidsSayTheirVersionAndVariant() {
    let random = SeededRandom(seed: 4)
    for _ in 0..<100 {
      let bytes = random.nextUUID()
      #expect(bytes.count == 16 && bytes[6] >> 4 == 4 && bytes[8] >> 6 == 2)
    }
  }

  @Test func ringsBeforeAWaitCountAsOne() async {
    let bell = Doorbell()
    bell.ring()
    bell.ring()
    await bell.wait()
    let waiting = Task { await bell.wait() }
    bell.ring()
    await waiting.value
  }

  @Test func aCancelledWaitEnds() async {
    let bell = Doorbell()
    let waiting = Task { await bell.wait() }
    waiting.cancel()
    await waiting.value
  }

  @Test func durationsInFieldsAreRoundedDown() {
    #expect(Duration.microseconds(1999).inMilliseconds == 1)
    #expect(Duration.seconds(3).inMilliseconds == 3000)
    #expect(abs(Duration.milliseconds(1500).inSeconds - 1.5) < 1e-12)
  }
}
