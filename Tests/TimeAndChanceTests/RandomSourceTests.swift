import Testing
import TimeAndChance

/// The seeded generator gives the published sequence of SplitMix64, and what is derived from bits has the documented range
/// and shape.
@Suite struct RandomSourceTests {
  /// The first outputs for the seed 1234567, as other implementations of SplitMix64 give them.
  @Test func splitMix64() {
    let random = SeededRandom(seed: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
      16_408_922_859_458_223_821,
    ]
    #expect((0..<5).map { _ in random.next() } == expected)
  }

  @Test func integersCoverTheirRange() {
    let random = SeededRandom(seed: 3)
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<10_000 { counts[random.next(below: 10)] += 1 }
    #expect(counts.allSatisfy { (850...1150).contains($0) })
    #expect(random.next(below: 1) == 0)
    #expect((0..<100).allSatisfy { _ in random.next(below: .max) >= 0 })
  }

  @Test func fractionsStayInTheirRange() {
    let random = SeededRandom(seed: 4)
    let values = (0..<10_000).map { _ in random.next(in: -1...3) }
    #expect(values.allSatisfy { (-1...3).contains($0) })
    #expect((0.9...1.1).contains(values.reduce(0, +) / 10_000))
    #expect(random.next(in: 2...2) == 2)
  }

  @Test func uuidsAreVersion4() {
    let random = SeededRandom(seed: 5)
    let uuids = (0..<1000).map { _ in random.nextUUID() }
    #expect(Set(uuids).count == 1000)
    #expect(uuids.allSatisfy { $0.count == 16 && $0[6] >> 4 == 4 && $0[8] >> 6 == 2 })
    #expect(SeededRandom(seed: 9).nextUUID() == SeededRandom(seed: 9).nextUUID())
  }

  @Test func theSystemsBitsDiffer() {
    let random = SystemRandom()
    #expect(Set((0..<100).map { _ in random.next() }).count == 100)
  }

  @Test func noNumberIsBelowZero() async {
    await #expect(processExitsWith: .failure) { _ = SystemRandom().next(below: 0) }
  }
}
