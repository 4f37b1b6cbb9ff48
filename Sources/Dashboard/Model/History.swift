import TimeAndChance

/// A sum that only rises, at the moments at which it was looked at; the last minute of it.
struct History: Sendable, Hashable {
  private struct Point: Hashable {
    var at: ContinuousClock.Instant
    var sum: Double
  }

  /// How far back it goes.
  static let span = Duration.seconds(60)
  /// However often it is looked at, no more points are kept.
  private static let maximum = 600

  private var points: [Point] = []

  /// The sum at a moment after all others.
  mutating func append(_ sum: Double, at now: ContinuousClock.Instant) {
    if let last = points.last, now <= last.at { return }
    points.append(Point(at: now, sum: sum))
    // One that is older stays, so that the whole span can be told.
    while points.count > 2, points[1].at.duration(to: now) >= Self.span || points.count > Self.maximum {
      points.removeFirst()
    }
  }

  /// The rise per second in the time before the last look; nil when less than two looks are known.
  func rate(over time: Duration) -> Double? {
    guard let last = points.last else { return nil }
    return rate(from: last.at.advanced(by: .zero - time), to: last.at)
  }

  /// The rise per second in each of the last `count` seconds before the last look, the newest last.
  func rates(_ count: Int) -> [Double?] {
    guard let last = points.last else { return Array(repeating: nil, count: count) }
    return (0..<count).reversed().map { ago in
      let end = last.at.advanced(by: .seconds(-ago))
      guard end > points[0].at else { return nil }
      return rate(from: end.advanced(by: .seconds(-1)), to: end)
    }
  }

  /// How much it rose in the minute before the last look.
  var rise: Double {
    guard let first = points.first, let last = points.last else { return 0 }
    return last.sum - sum(at: max(first.at, last.at.advanced(by: .zero - Self.span)))
  }

  /// Between two moments, or the part of that which is known.
  private func rate(from start: ContinuousClock.Instant, to end: ContinuousClock.Instant) -> Double? {
    guard let first = points.first else { return nil }
    let start = max(start, first.at)
    guard start < end else { return nil }
    return (sum(at: end) - sum(at: start)) / start.duration(to: end).inSeconds
  }

  /// In between two looks the sum is taken to rise evenly.
  private func sum(at instant: ContinuousClock.Instant) -> Double {
    guard let index = points.firstIndex(where: { $0.at >= instant }) else { return points.last?.sum ?? 0 }
    guard index > 0 else { return points[0].sum }
    let (before, after) = (points[index - 1], points[index])
    let part = before.at.duration(to: instant).inSeconds / before.at.duration(to: after.at).inSeconds
    return before.sum + part * (after.sum - before.sum)
  }
}
