import Telemetry

/// The rise of every counter and histogram of every service since the dashboard runs, whatever restarts.
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

  /// What has come since the last time.
  struct Increases {
    /// Only of counters that rose.
    var counters: [Name: Double] = [:]
    /// Of all histograms.
    var times: [Name: HDRHistogram] = [:]
  }

  private struct Known {
    var values: [Name: Double]
    var times: [Name: HDRHistogram]
    var seen: ContinuousClock.Instant
  }

  /// Incarnations that were not seen for so long are forgotten.
  private static let memory = Duration.seconds(600)

  private var known: [String: Known] = [:]

  /// Takes in what all services have told; returns what has come of each incarnation since the last
  /// time.
  mutating func take(_ services: [ServiceReading], at now: ContinuousClock.Instant) -> [String: Increases] {
    var all: [String: Increases] = [:]
    for service in services where !service.incarnation.isEmpty {
      let isNew = known[service.incarnation] == nil
      var known = self.known.removeValue(forKey: service.incarnation) ?? Known(values: [:], times: [:], seen: now)
      var increases = Increases()
      for series in service.series {
        let name = Name(name: series.name, labels: series.labels)
        if let times = series.times {
          if let increase = times.subtracting(known.times[name] ?? HDRHistogram()) {
            increases.times[name] = isNew ? HDRHistogram() : increase
            known.times[name] = times
          }
        } else if series.isCounter {
          let before = known.values[name] ?? 0
          if !isNew, series.value > before { increases.counters[name] = series.value - before }
          known.values[name] = max(series.value, before)
        }
      }
      known.seen = now
      self.known[service.incarnation] = known
      all[service.incarnation] = increases
    }
    known = known.filter { $0.value.seen.duration(to: now) < Self.memory }
    return all
  }
}
