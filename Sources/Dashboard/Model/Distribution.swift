/// How often something took how long: counts up to bounds, as a Prometheus histogram has them.
struct Distribution: Sendable, Hashable {
  /// How many were at most so many seconds long, by the bound; `.infinity` counts all.
  var cumulative: [Double: Double] = [:]

  /// How many there were.
  var count: Double { cumulative[.infinity] ?? 0 }

  /// The time, in seconds, that `share` of all took at most; within a bucket they are taken to be spread evenly. Nil when there were
  /// none. Beyond the last bound, that bound.
  func quantile(_ share: Double) -> Double? {
    let bounds = cumulative.keys.sorted()
    let wanted = share * count
    guard count > 0 else { return nil }
    var (lower, below) = (0.0, 0.0)
    for bound in bounds {
      let upTo = max(below, cumulative[bound] ?? 0)
      if upTo >= wanted, upTo > below {
        return bound.isFinite ? lower + (bound - lower) * (wanted - below) / (upTo - below) : lower
      }
      if bound.isFinite { lower = bound }
      below = upTo
    }
    return lower
  }
}
