import Telemetry
import TimeAndChance

/// The times that came between one look and the next, for some time before the last look.
struct TimesHistory: Sendable, Hashable {
  private struct Slice: Hashable {
    var began: ContinuousClock.Instant
    var ended: ContinuousClock.Instant
    var times: HDRHistogram
  }

  /// Looks that follow each other faster share a slice, so that there are never more than two a second.
  private static let finest = Duration.milliseconds(500)

  /// How far back it goes.
  let span: Duration
  private var slices: [Slice] = []

  init(span: Duration) { self.span = span }

  /// What came since the look before.
  mutating func append(_ times: HDRHistogram, at now: ContinuousClock.Instant) {
    if let last = slices.last, last.began.duration(to: now) < Self.finest {
      slices[slices.count - 1].times += times
      slices[slices.count - 1].ended = now
    } else {
      slices.append(Slice(began: slices.last?.ended ?? now, ended: now, times: times))
    }
    slices.removeAll { $0.ended.duration(to: now) >= span }
  }

  /// All times that came in the time before the last look.
  func times(over time: Duration) -> HDRHistogram { times(from: time, to: .zero) }

  /// The times in each of the last `count` seconds before the last look, the newest last.
  func bySecond(_ count: Int) -> [HDRHistogram] {
    (0..<count).reversed().map { times(from: .seconds($0 + 1), to: .seconds($0)) }
  }

  private func times(from start: Duration, to end: Duration) -> HDRHistogram {
    guard let now = slices.last?.ended else { return HDRHistogram() }
    return slices.reduce(into: HDRHistogram()) { sum, slice in
      let age = slice.ended.duration(to: now)
      if age >= end, age < start { sum += slice.times }
    }
  }
}

extension HDRHistogram {
  /// The time that a part of all times does not exceed, in seconds; nil if there are none.
  func seconds(_ part: Double) -> Double? { percentile(part).map { Double($0) / 1e6 } }
}
