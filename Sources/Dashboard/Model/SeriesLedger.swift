/// The rise of every counter of every service since the dashboard runs, whatever restarts.
///
/// An incarnation counts from zero, and its numbers never fall; Logger forgets all when it restarts and is told again.
/// So each counter of each incarnation is followed by itself. What is seen of an incarnation for the first time is
/// where it begins: it may have been counted long ago, and must not look like a burst. The exception is a counter that
/// a known incarnation did not have before: that one was zero.
struct SeriesLedger: Sendable {
  struct Name: Hashable {
    var name: String
    var labels: [String: String]
  }

  private struct Known {
    var values: [Name: Double]
    var seen: ContinuousClock.Instant
  }

  /// Incarnations that were not seen for so long are forgotten.
  private static let memory = Duration.seconds(600)

  private var known: [String: Known] = [:]

  /// Takes in what all services have told; returns how much each counter has risen since the last time.
  mutating func take(_ services: [ServiceReading], at now: ContinuousClock.Instant) -> [String: [Name: Double]] {
    var increases: [String: [Name: Double]] = [:]
    for service in services where !service.incarnation.isEmpty {
      let isNew = known[service.incarnation] == nil
      var values = known.removeValue(forKey: service.incarnation)?.values ?? [:]
      for series in service.series where series.isCounter {
        let name = Name(name: series.name, labels: series.labels)
        let before = values[name] ?? 0
        let increase = series.value - before
        if !isNew, increase > 0 { increases[service.incarnation, default: [:]][name] = increase }
        values[name] = max(series.value, before)
      }
      known[service.incarnation] = Known(values: values, seen: now)
    }
    known = known.filter { $0.value.seen.duration(to: now) < Self.memory }
    return increases
  }
}
