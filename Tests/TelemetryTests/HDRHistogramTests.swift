import Telemetry
import Testing
import TimeAndChance

/// A histogram keeps how often values of each size occurred: each is found again to better than 1 %, in the buckets that the
/// protocol documents, whatever is added to it, taken out of it, or written down and read again.
@Suite struct HDRHistogramTests {
  private func histogram(_ values: some Sequence<UInt64>) -> HDRHistogram {
    values.reduce(into: HDRHistogram()) { $0.record($1) }
  }

  /// The formula of metrics.proto.
  @Test(
    arguments: [
      (0, 0), (1, 1), (127, 127), (128, 128), (129, 128), (130, 129), (255, 191), (256, 192), (259, 192), (260, 193),
      (1_000_000, 64 * 13 + 122), (1 << 43 - 1, 2431), (1 << 43, 2431), (.max, 2431),
    ] as [(UInt64, Int)])
  func buckets(_ value: UInt64, _ index: Int) {
    #expect(histogram([value]).buckets == [.init(index: index, count: 1)])
  }

  @Test func everyValueIsFoundAgainWithinItsError() {
    for exponent in 0..<43 as Range<UInt64> {
      for value in [1 << exponent, 1 << exponent + 1 << exponent / 3, 1 << exponent + (1 << exponent - 1)] as [UInt64] {
        let found = histogram([value]).percentile(0.5)!
        let error = max(found, value) - min(found, value)
        #expect(Double(error) <= Double(value) / 128, "\(value) is found as \(found)")
      }
    }
    #expect(HDRHistogram.lastIndex == 2431)
  }

  @Test(arguments: [0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1], 0..<5 as Range<UInt64>)
  func percentilesAgreeWithASort(_ part: Double, seed: UInt64) {
    let random = SeededRandom(seed: seed)
    // As long-tailed as times are.
    let values = (0..<2000).map { _ in UInt64(1) << UInt64(random.next(below: 30)) + UInt64(random.next(below: 100)) }
    let exact = values.sorted()[max(0, Int((2000 * part).rounded(.up)) - 1)]
    let found = histogram(values).percentile(part)!
    #expect(abs(Double(found) - Double(exact)) <= Double(exact) / 128)
  }

  @Test func emptyHasNoPercentile() {
    #expect(HDRHistogram().percentile(0.5) == nil)
    #expect(HDRHistogram().count == 0)
    #expect(HDRHistogram().buckets.isEmpty)
  }

  @Test func timesAreMicroseconds() {
    var histogram = HDRHistogram()
    for time in [.microseconds(7), .nanoseconds(1999), .milliseconds(-5), .zero] as [Duration] {
      histogram.record(time)
    }
    #expect(histogram.buckets.map(\.index) == [0, 1, 7])
    #expect((histogram.count, histogram.sum) == (4, 8))
    histogram.record(.seconds(Int64.max))
    #expect(histogram.percentile(1) == self.histogram([.max]).percentile(1))
  }

  @Test func additionAndItsOpposite() {
    let (first, second) = (histogram([1, 200, 3_000_000]), histogram([1, 70_000]))
    var both = first
    both += second
    #expect(both == histogram([1, 200, 3_000_000, 1, 70_000]))
    var swapped = second
    swapped += first
    #expect(swapped == both)
    #expect(both.subtracting(second) == first)
    #expect(both.subtracting(both) == HDRHistogram())
    #expect(first.subtracting(second) == nil, "there is nothing at 70,000")
    #expect(second.subtracting(first) == nil)
  }

  @Test func writtenDownAndReadAgain() {
    let original = histogram([0, 5, 5, 1000, 1 << 43])
    #expect(HDRHistogram(buckets: original.buckets, sum: original.sum) == original)
    let malformed: [[HDRHistogram.Bucket]] = [
      [.init(index: 5, count: 1), .init(index: 5, count: 1)], [.init(index: 6, count: 1), .init(index: 5, count: 1)],
      [.init(index: 5, count: 0)], [.init(index: -1, count: 1)], [.init(index: 2432, count: 1)],
      [.init(index: 1, count: .max), .init(index: 2, count: 1)],
    ]
    for buckets in malformed { #expect(HDRHistogram(buckets: buckets, sum: 0) == nil, "\(buckets)") }
  }

  @Test func counts() {
    let histogram = histogram([1, 100, 100, 1000, 50_000])
    #expect([0, 1, 99, 100, 1000, 49_000, .max].map { histogram.count(upTo: $0) } == [0, 1, 1, 3, 4, 4, 5])
  }
}
