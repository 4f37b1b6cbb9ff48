import Domain
import RPC
import Schema
import TimeAndChance

/// Names one start of a service.
struct IncarnationID: Hashable, Comparable {
  let service: String
  let id: UniqueID<IncarnationID>

  static func < (left: IncarnationID, right: IncarnationID) -> Bool {
    (left.service, left.id) < (right.service, right.id)
  }
}

/// What is known of one start of a service.
struct Incarnation {
  let id: IncarnationID
  let instance: ChanceryV1.ServiceInstance
  var series: [Series: SeriesValue] = [:]
  /// How many series each name has.
  var labelSets: [String: Int] = [:]
  /// In which report each passing series was told last.
  var lastTold: [Series: UInt64] = [:]
  var reports: UInt64 = 0
  var eventsDropped: UInt64 = 0
  /// Whether it has reported: what it has counted before may be long ago.
  var hasReported = false
  /// When its last report came.
  var heard: ContinuousClock.Instant
  /// The stream whose reports count: the newest. Nil when it is gone.
  var stream: UInt64?
  /// Whether it said goodbye, so that its last report told everything.
  var hasEnded = false
  /// Whether series were dropped for want of room.
  var lacksSeries = false

  /// Whether its counters may be behind the truth for good.
  var isLossy: Bool { !hasEnded || lacksSeries }

  /// Checks who reports; throws `INVALID_ARGUMENT` saying what is wrong.
  init(_ instance: ChanceryV1.ServiceInstance?, now: ContinuousClock.Instant) throws(RPCError) {
    guard let instance else {
      throw Self.invalid("the first report of a stream must say who reports: instance is missing")
    }
    guard (1...64).contains(instance.service.utf8.count) else {
      throw Self.invalid("instance.service '\(instance.service.prefix(64))' must have 1 to 64 bytes")
    }
    guard instance.name.utf8.count <= 128, instance.version.utf8.count <= 64 else {
      throw Self.invalid("instance.name may have 128 bytes and instance.version 64")
    }
    guard let id = UniqueID<IncarnationID>(instance.incarnation) else {
      throw Self.invalid("instance.incarnation '\(instance.incarnation.prefix(64))' is not a UUID")
    }
    self.id = IncarnationID(service: instance.service, id: id)
    self.instance = instance
    heard = now
  }

  private static func invalid(_ message: String) -> RPCError { RPCError(.invalidArgument, message) }

  func message(now: ContinuousClock.Instant) -> ChanceryV1.ServiceMetrics {
    ChanceryV1.ServiceMetrics(
      instance: instance, ageMs: UInt64(max(0, heard.duration(to: now).inMilliseconds)), connected: stream != nil,
      metrics: series.message, eventsDropped: eventsDropped)
  }
}

/// The sum of the incarnations of one service that have been folded into it.
struct FoldedTotal {
  /// Counters and histograms.
  var series: [Series: SeriesValue] = [:]
  var eventsDropped: UInt64 = 0
  var incarnations = 0
  var lossyIncarnations = 0
  var heard: ContinuousClock.Instant

  /// Adds what an incarnation has counted (`sign` 1), or takes out those of one that came back (-1).
  mutating func fold(_ incarnation: Incarnation, sign: Int) {
    for (series, value) in incarnation.series where value.isCumulative {
      self.series[series] = self.series[series].map { $0.adding(value, sign: sign) } ?? value
    }
    // What a reporter says need not make sense; wrapping around keeps adding and taking out each other's opposite.
    eventsDropped = sign > 0 ? eventsDropped &+ incarnation.eventsDropped : eventsDropped &- incarnation.eventsDropped
    incarnations += sign
    if incarnation.isLossy { lossyIncarnations += sign }
    heard = max(heard, incarnation.heard)
  }

  func message(of service: String, now: ContinuousClock.Instant) -> ChanceryV1.ServiceMetrics {
    ChanceryV1.ServiceMetrics(
      instance: ChanceryV1.ServiceInstance(service: service),
      ageMs: UInt64(max(0, heard.duration(to: now).inMilliseconds)), metrics: series.message,
      eventsDropped: eventsDropped)
  }
}
