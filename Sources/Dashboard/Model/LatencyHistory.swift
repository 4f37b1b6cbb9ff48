/// Names the times of one thing: a histogram of a kind of service, and which method it is about, if any.
struct LatencyName: Hashable {
  var kind: String
  /// Without `_bucket`.
  var family: String
  var method: String
  /// Of one instance alone; empty for all of the kind.
  var incarnation = ""

  /// The histogram and the upper bound that a counter of it stands for; nil for any other counter.
  static func bucket(of series: SeriesLedger.Name, kind: String) -> (name: LatencyName, bound: Double)? {
    guard series.name.hasSuffix("_bucket"), let text = series.labels["le"] else { return nil }
    guard let bound = text == "+Inf" ? Double.infinity : Double(text) else { return nil }
    let family = String(series.name.dropLast("_bucket".count))
    return (LatencyName(kind: kind, family: family, method: series.labels["method"] ?? ""), bound)
  }

  /// The same of one signer, for what is shown of each.
  func alone(_ incarnation: String) -> LatencyName? {
    guard kind == "signer", self == MetricNames.keyWait else { return nil }
    var alone = self
    alone.incarnation = incarnation
    return alone
  }
}

/// How long one thing took in the last minute, in steps of a second or longer.
struct LatencyHistory: Sendable, Hashable {
  private struct Step: Hashable {
    var at: ContinuousClock.Instant
    var counts: [Double: Double]
  }

  private var steps: [Step] = []

  /// Whether nothing has happened for a minute.
  var isEmpty: Bool { steps.allSatisfy { $0.counts.isEmpty } }

  /// What came since the last time.
  mutating func append(_ counts: [Double: Double], at now: ContinuousClock.Instant) {
    if let last = steps.last, last.at.duration(to: now) < .milliseconds(900) {
      steps[steps.count - 1].counts.merge(counts, uniquingKeysWith: +)
    } else {
      steps.append(Step(at: now, counts: counts))
    }
    steps.removeAll { $0.at.duration(to: now) > History.span }
  }

  /// All that came in the time before the last look.
  func distribution(over time: Duration) -> Distribution {
    guard let last = steps.last else { return Distribution() }
    var sum = Distribution()
    for step in steps where step.at.duration(to: last.at) < time {
      sum.cumulative.merge(step.counts, uniquingKeysWith: +)
    }
    return sum
  }

  /// The 99th percentile of each of the last `count` seconds, the newest last; nil where nothing came.
  func worst(_ count: Int) -> [Double?] {
    guard let last = steps.last else { return Array(repeating: nil, count: count) }
    var values = [Double?](repeating: nil, count: count)
    for step in steps {
      let ago = Int(step.at.duration(to: last.at).seconds.rounded())
      guard ago < count, let value = Distribution(cumulative: step.counts).quantile(0.99) else { continue }
      values[count - 1 - ago] = max(values[count - 1 - ago] ?? 0, value)
    }
    return values
  }
}
