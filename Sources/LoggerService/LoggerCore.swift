public import Domain
public import RPC
public import Schema
public import Storage
import Synchronization
public import Telemetry
public import TimeAndChance

/// Takes in what services tell about themselves, keeps their numbers in memory, and stores their events.
///
/// Numbers are the newest of every service and the sums of those that are over; a restart of Logger forgets the latter.
/// `run` must run as long as the services are offered.
public final class LoggerCore: Sendable {
  let clock: any ServiceClock
  private let random: any RandomSource
  private let observer: any Observer
  let options: LoggerOptions
  private let wallClock: @Sendable () -> Timestamp
  let store: any EventStore
  let journal: EventJournal
  private let retention: EventRetention
  private let book: Mutex<MetricsBook>
  private let started: ContinuousClock.Instant
  private let shared = Mutex<SharedSnapshot?>(nil)
  /// Opened when the streams are to end.
  let stopping = Latch()

  /// A logger that does not run yet. `wallClock` tells the time for people: in snapshots, and for events that have
  /// none.
  public init(
    store: any EventStore, clock: any ServiceClock, random: any RandomSource, observer: any Observer,
    wallClock: @escaping @Sendable () -> Timestamp, options: LoggerOptions = LoggerOptions()
  ) {
    self.clock = clock
    self.random = random
    self.observer = observer
    self.options = options
    self.wallClock = wallClock
    self.store = store
    retention = EventRetention(store: store, clock: clock, random: random, observer: observer, options: options)
    journal = EventJournal(store: store, clock: clock, random: random, observer: observer, options: options)
    book = Mutex(MetricsBook(limits: options.metrics, now: clock.now))
    started = clock.now
  }

  /// What it serves.
  public var services: [any RPCService] {
    [TelemetryEndpoint(logger: self), MetricsEndpoint(logger: self), LogsEndpoint(logger: self)]
  }

  /// Stores events, drops old ones, and seals the audit log, until the task is cancelled. Call `drain`, then `flush` first for a
  /// stop that loses none.
  public func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.journal.run() }
      group.addTask { await self.retention.run() }
      if let log = options.auditLog {
        let sealer = AuditSealer(log: log, clock: clock, random: random, observer: observer, options: options)
        group.addTask { await sealer.run() }
      }
    }
  }

  /// Ends the streams of reporters, with what they have sent taken in, and of watchers, and takes no new ones.
  public func drain() async { stopping.open() }

  /// Waits until the events taken in are stored, at most for the flush timeout. Needs `run`.
  public func flush() async {
    let isFlushed = await clock.run(atMost: options.flushTimeout) { await self.journal.flush() }
    if !isFlushed {
      observer.event(.error, "logger.flush_failed", "the store did not take the last events in time", [:])
    }
  }

  /// The newest values of all services, those of one service under its instance, and under an instance without name and
  /// incarnation the sums of the counters of those incarnations of a service that are over. The sum of a counter over
  /// all of them is what has happened since Logger started, unless `incomplete` is set.
  public func snapshot() -> ChanceryV1.MetricsSnapshot {
    let now = clock.now
    let copy = book.withLock { book in
      book.sweep(now: now)
      return book
    }
    return copy.snapshot(now: now, at: wallClock())
  }
}

// MARK: - The watchers' side

extension LoggerCore {
  /// A snapshot as it is sent to all who watch.
  private struct SharedSnapshot {
    /// The number of the tick.
    var tick: Int64
    var message: EncodedMessage<ChanceryV1.MetricsSnapshot>
  }

  /// The time for which a snapshot serves all who watch.
  static let tick = Duration.milliseconds(100)

  /// The beginning of the tick that is under way.
  var tickStart: ContinuousClock.Instant { started.advanced(by: Self.tick * Int(tickNumber)) }

  private var tickNumber: Int64 { started.duration(to: clock.now).inMilliseconds / Self.tick.inMilliseconds }

  /// The snapshot of the tick that is under way: made and encoded when the first asks for it.
  func sharedSnapshot() throws(RPCError) -> EncodedMessage<ChanceryV1.MetricsSnapshot> {
    let tick = tickNumber
    return try shared.withLock { shared throws(RPCError) in
      if let shared, shared.tick == tick { return shared.message }
      let message = try EncodedMessage(snapshot())
      shared = SharedSnapshot(tick: tick, message: message)
      return message
    }
  }

  /// The last seconds of a metric.
  func range(_ request: ChanceryV1.MetricsRangeRequest) -> ChanceryV1.MetricsRange {
    let now = clock.now
    var copy = book.withLock { $0 }
    return copy.range(request, now: now, at: wallClock())
  }
}

// MARK: - The reporters' side

extension LoggerCore {
  func open(_ instance: ChanceryV1.ServiceInstance?) throws(RPCError) -> MetricsBook.Stream {
    let now = clock.now
    do throws(RPCError) {
      return try book.withLock { book throws(RPCError) in try book.open(instance, now: now) }
    } catch {
      observer.count("chancery_logger_streams_refused_total", ["code": error.code.description], by: 1)
      throw error
    }
  }

  func take(
    _ report: ChanceryV1.TelemetryReport, of instance: ChanceryV1.ServiceInstance, on stream: MetricsBook.Stream
  ) {
    let now = clock.now
    let (dropped, known) = book.withLock { ($0.record(report, from: stream, now: now), $0.incarnations.count) }
    observer.count("chancery_logger_reports_total")
    observer.gauge("chancery_logger_services", to: Double(known))
    for (reason, count) in [("malformed", dropped.malformed), ("excess", dropped.excess)] where count > 0 {
      observer.count("chancery_logger_metrics_dropped_total", ["reason": reason], by: Double(count))
    }
    if !report.events.isEmpty {
      let time = wallClock()
      journal.add(report.events.map { StoredEvent($0, of: instance, now: time) })
    }
  }

  func close(_ stream: MetricsBook.Stream, saidGoodbye: Bool) {
    book.withLock { $0.close(stream, saidGoodbye: saidGoodbye) }
  }
}
