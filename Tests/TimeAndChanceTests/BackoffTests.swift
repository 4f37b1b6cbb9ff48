import Testing
import TimeAndChance

/// Delays stay in their documented range, grow to the maximum, and are spread over the range: checked over many attempts
/// with a seeded generator and with generators that give the extremes.
@Suite struct BackoffTests {
  private struct Constant: RandomSource {
    let bits: UInt64
    func next() -> UInt64 { bits }
  }

  @Test func bounds() {
    let backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10))
    let ceilings: [Duration] = [.milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1600)]
    for (attempt, ceiling) in ceilings.enumerated() {
      #expect(backoff.delay(attempt: attempt, random: Constant(bits: 0)) == .milliseconds(100))
      let longest = backoff.delay(attempt: attempt, random: Constant(bits: .max))
      #expect(longest <= ceiling && longest > ceiling - .microseconds(1))
    }
  }

  @Test(arguments: [6, 7, 30, 62, 63, 64, 1000, Int.max]) func capped(attempt: Int) {
    let backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10))
    let longest = backoff.delay(attempt: attempt, random: Constant(bits: .max))
    #expect(longest <= .seconds(10) && longest > .seconds(9.99))
  }

  @Test func firstRetryIsSpread() {
    let random = SeededRandom(seed: 1)
    let delays = (0..<1000).map { _ in Backoff().delay(attempt: 0, random: random) }
    #expect(delays.allSatisfy { (.milliseconds(100)...(.milliseconds(200))).contains($0) })
    #expect(delays.count { $0 < .milliseconds(150) } > 400)
    #expect(delays.count { $0 > .milliseconds(150) } > 400)
  }

  @Test func withoutRoomThereIsNoJitter() {
    let backoff = Backoff(initial: .seconds(1), maximum: .seconds(1))
    #expect(backoff.delay(attempt: 3, random: SeededRandom(seed: 2)) == .seconds(1))
  }

  @Test func impossibleRanges() async {
    await #expect(processExitsWith: .failure) { _ = Backoff(initial: .zero, maximum: .seconds(1)) }
    await #expect(processExitsWith: .failure) { _ = Backoff(initial: .seconds(2), maximum: .seconds(1)) }
    await #expect(processExitsWith: .failure) { _ = Backoff().delay(attempt: -1, random: SystemRandom()) }
  }
}
