import ArgumentParser
import Dashboard
import FoundationEssentials
import RPC
import Schema
import Telemetry
import TimeAndChance
import Translation

/// Brings what the dashboard shows from the services. Each feed has a connection of its own, which is made again, after
/// pauses, when it is lost; what is wrong stands in the state meanwhile.
struct TopFeeds: Sendable {
  let connection: ConnectionOptions
  let interval: Duration
  let state: TopState

  /// More are not shown.
  private static let limits = (jobs: UInt32(50), keys: 1000, keysPerPage: UInt32(500), events: UInt32(50))
  /// Jobs and keys come from databases: they are asked for no more often.
  private static let slowest = Duration.seconds(1)
  private static let backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(3))

  /// Runs until the task is cancelled. Throws what no later attempt can mend.
  func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await keep(.metrics, .logger) { try await watch($0) } }
      group.addTask { try await keep(.jobs, .coordinator) { try await jobs($0) } }
      group.addTask { try await keep(.keys, .keykeeper) { try await keys($0) } }
      group.addTask { try await keep(.log, .logger) { try await log($0) } }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  /// Lends a connection to a feed again and again.
  private func keep(
    _ feed: DashboardModel.Feed, _ service: ServiceName, _ body: (any RPCChannel) async throws -> Void
  ) async throws {
    var attempt = 0
    while true {
      let started = ContinuousClock.now
      do {
        try await connection.with(service, body)
        tell(feed, "the \(service.rawValue) has ended the stream")
      } catch let failure as CommandFailure where failure.exitCode == .validationFailure {
        throw failure
      } catch {
        try Task.checkCancellation()
        let failure = error as? CommandFailure
        tell(feed, failure.map { "\($0.code): \($0.message)" } ?? "\(error)")
      }
      // A connection that held for a while was no failure to connect.
      attempt = started.duration(to: .now) > .seconds(10) ? 0 : attempt + 1
      try await Task.sleep(for: Self.backoff.delay(attempt: attempt, random: SystemRandom()))
    }
  }

  private func tell(_ feed: DashboardModel.Feed, _ problem: String) {
    state.change { $0.model.fail(feed, problem) }
  }

  private func watch(_ channel: any RPCChannel) async throws {
    let request = ChanceryV1.WatchMetricsRequest(intervalMs: UInt32(interval.inMilliseconds))
    try await ChanceryV1.Metrics.Client(channel).watch(request) { snapshots in
      for try await snapshot in snapshots {
        let services = snapshot.services.map(ServiceReading.init)
        state.change { $0.model.take(services: services, isIncomplete: snapshot.incomplete, at: .now) }
      }
    }
  }

  private func log(_ channel: any RPCChannel) async throws {
    try await ChanceryV1.Logs.Client(channel).tail(.init(last: Self.limits.events)) { replies in
      var isFresh = true
      for try await reply in replies {
        let events = reply.events.map(EventReading.init)
        state.change { [isFresh] in $0.model.take(events: events, isFresh: isFresh, at: .now) }
        isFresh = false
      }
    }
  }

  private func jobs(_ channel: any RPCChannel) async throws {
    let client = ChanceryV1.Jobs.Client(channel)
    while true {
      let page = try await client.list(.init(pageSize: Self.limits.jobs), options: connection.call)
      let jobs = page.jobs.map(JobReading.init)
      state.change { $0.model.take(jobs: jobs, at: .now) }
      try await Task.sleep(for: max(interval, Self.slowest))
    }
  }

  private func keys(_ channel: any RPCChannel) async throws {
    let client = ChanceryV1.Keys.Client(channel)
    while true {
      var keys: [KeyReading] = []
      var hasMore = true
      while hasMore, keys.count < Self.limits.keys {
        let page = try await client.list(
          .init(pageSize: Self.limits.keysPerPage, afterKeyID: keys.last?.id ?? 0), options: connection.call)
        keys += page.keys.map(KeyReading.init)
        hasMore = page.more && !page.keys.isEmpty
      }
      state.change { [keys, hasMore] in $0.model.take(keys: keys, hasMore: hasMore, at: .now) }
      try await Task.sleep(for: max(interval, Self.slowest))
    }
  }
}

extension ServiceReading {
  fileprivate init(_ message: ChanceryV1.ServiceMetrics) {
    let instance = message.instance ?? ChanceryV1.ServiceInstance()
    self.init(
      kind: instance.service, name: instance.name, incarnation: instance.incarnation,
      age: .milliseconds(Int64(clamping: message.ageMs)), isConnected: message.connected,
      series: message.metrics.map { metric in
        let labels = metric.labels.map { ($0.name, $0.value) }
        let byName = Dictionary(labels) { first, _ in first }
        guard let times = metric.histogram.flatMap(HDRHistogram.init) else {
          return SeriesReading(metric.name, byName, isCounter: metric.kind == .counter, value: metric.value)
        }
        return SeriesReading(metric.name, byName, times: times)
      })
  }
}

extension EventReading {
  fileprivate init(_ logged: ChanceryV1.LoggedEvent) {
    let event = logged.event ?? ChanceryV1.Event()
    let level: Level =
      switch event.level {
      case .error: .error
      case .warning: .warning
      default: .info
      }
    // The time of day, in UTC as in the logs.
    let time = Date(timeIntervalSince1970: Double(event.atUs) / 1_000_000).text.dropFirst("2026-01-01T".count).prefix(8)
    self.init(
      time: String(time), level: level, reporter: logged.instance, name: event.name, message: event.message)
  }
}

extension JobReading {
  fileprivate init(_ job: ChanceryV1.Job) {
    let counts = job.counts ?? ChanceryV1.JobCounts()
    self.init(
      id: job.jobID, state: "\(job.state)", algorithm: job.algorithm.name, source: job.source,
      batchSize: Int(job.batchSize), priority: Int(job.priority), planned: Double(counts.planned),
      isPlanned: job.planned, signed: Double(counts.signed), failed: Double(counts.failed),
      alreadySigned: Double(counts.alreadySigned), batchesLeased: Double(counts.batchesLeased))
  }
}

extension KeyReading {
  fileprivate init(_ key: ChanceryV1.Key) {
    self.init(
      id: key.keyID, algorithm: key.algorithm.name, state: "\(key.state)", uses: key.epoch, holder: key.holder,
      label: key.label)
  }
}
