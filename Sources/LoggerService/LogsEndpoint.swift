import Domain
import RPC
import Schema
import Storage
import TimeAndChance
import Translation

/// Serves `chancery.v1.Logs`.
struct LogsEndpoint: ChanceryV1.Logs.Service {
  /// The most events of a page, and of those that come before what is followed.
  static let maximumEvents: UInt32 = 1000
  /// The most events in one message of a stream: as large as they can be, they are below the frame limit.
  static let eventsPerMessage = 100
  /// The most text on a page, in bytes, about.
  static let pageBytes = 2 << 20

  let logger: LoggerCore

  func query(
    _ request: ChanceryV1.QueryLogsRequest, context: ServerContext
  ) async throws -> ChanceryV1.QueryLogsResponse {
    let filter = try EventFilter(request.filter)
    guard request.pageSize <= Self.maximumEvents else {
      throw RPCError(.invalidArgument, "page_size \(request.pageSize) is above \(Self.maximumEvents)")
    }
    let position = try request.pageToken.isEmpty ? nil : EventPosition(pageToken: request.pageToken)
    let limit = request.pageSize == 0 ? 100 : Int(request.pageSize)
    let found = try await stored(filter, request.oldestFirst ? .oldestFirst : .newestFirst, position, limit: limit + 1)
    var bytes = 0
    let page = found.prefix(limit).prefix { placed in
      defer { bytes += placed.event.textBytes }
      return bytes < Self.pageBytes
    }
    return ChanceryV1.QueryLogsResponse(
      events: page.map(\.event.logged),
      nextPageToken: page.count < found.count ? page.last?.position.pageToken ?? "" : "")
  }

  func tail(
    _ request: ChanceryV1.TailLogsRequest, replies: RPCWriter<ChanceryV1.TailLogsResponse>, context: ServerContext
  ) async throws {
    let filter = try EventFilter(request.filter)
    guard request.filter?.untilUs ?? 0 == 0 else {
      throw RPCError(.invalidArgument, "until_us must be 0: what is followed has no end")
    }
    guard request.last <= Self.maximumEvents else {
      throw RPCError(.invalidArgument, "last \(request.last) is above \(Self.maximumEvents)")
    }
    if logger.stopping.isOpen { throw LoggerCore.stopped }
    do {
      try await logger.stopping.cancelling { try await follow(filter, last: Int(request.last), replies) }
    } catch  where logger.stopping.isOpen {
      throw LoggerCore.stopped
    }
  }

  /// Tells the last events, and then all that come. What comes while the last are read is told once, though it may be stored by
  /// then.
  private func follow(
    _ filter: EventFilter, last: Int, _ replies: RPCWriter<ChanceryV1.TailLogsResponse>
  ) async throws {
    guard let (follower, pending) = logger.journal.follow(filter) else {
      throw RPCError(.resourceExhausted, "\(logger.options.followers) follow already, which is the limit")
    }
    defer { logger.journal.unfollow(follower) }
    if last > 0 {
      let stored = try await stored(filter, .newestFirst, nil, limit: last).reversed().map(\.event)
      let known = Set(stored)
      let recent = stored + pending.filter { !known.contains($0) }
      let (events, skipped) = follower.take(.max)
      try await write(recent.suffix(last), to: replies)
      try await write(events.filter { !known.contains($0) }[...], skipped: skipped, to: replies)
    }
    while true {
      let (events, skipped) = follower.take(Self.eventsPerMessage)
      if events.isEmpty && skipped == 0 { await follower.bell.wait() }
      try Task.checkCancellation()
      try await write(events[...], skipped: skipped, to: replies)
    }
  }

  private func write(
    _ events: ArraySlice<StoredEvent>, skipped: UInt64 = 0, to replies: RPCWriter<ChanceryV1.TailLogsResponse>
  ) async throws {
    var rest = events
    var skipped = skipped
    while !rest.isEmpty || skipped > 0 {
      let part = rest.prefix(Self.eventsPerMessage)
      try await replies.write(ChanceryV1.TailLogsResponse(events: part.map(\.logged), skipped: skipped))
      rest = rest.dropFirst(part.count)
      skipped = 0
    }
  }

  private func stored(
    _ filter: EventFilter, _ order: EventOrder, _ position: EventPosition?, limit: Int
  ) async throws(RPCError) -> [PlacedEvent] {
    do throws(StorageError) {
      return try await logger.store.events(filter, order: order, after: position, limit: limit)
    } catch {
      throw RPCError(error)
    }
  }
}

extension EventFilter {
  /// The filter of a message; throws `INVALID_ARGUMENT` for one that is not one.
  fileprivate init(_ message: ChanceryV1.EventFilter?) throws(RPCError) {
    self.init()
    guard let message else { return }
    guard message.services.count <= 16, message.instances.count <= 16, message.attributes.count <= 16 else {
      throw RPCError(.invalidArgument, "a filter may have 16 services, 16 instances and 16 attributes")
    }
    let texts = [message.name, message.text] + message.services + message.instances
    guard (texts + message.attributes.flatMap { [$0.name, $0.value] }).allSatisfy({ $0.utf8.count <= 512 }) else {
      throw RPCError(.invalidArgument, "a text of a filter may have 512 bytes")
    }
    minimumLevel = EventLevel(message.minimumLevel) ?? .debug
    (services, instances, name, text) = (message.services, message.instances, message.name, message.text)
    for label in message.attributes {
      guard attributes.updateValue(label.value, forKey: label.name) == nil else {
        throw RPCError(.invalidArgument, "the attribute '\(label.name)' is given twice")
      }
    }
    let times = Self.allTimes
    let since = Timestamp(rawValue: message.sinceUs)
    let until = message.untilUs == 0 ? times.upperBound : Timestamp(rawValue: message.untilUs)
    guard since >= times.lowerBound, since <= until, until <= times.upperBound else {
      throw RPCError(
        .invalidArgument, "since_us \(message.sinceUs) and until_us \(message.untilUs) are not the ends of a time")
    }
    self.times = since..<until
  }
}

extension EventPosition {
  /// `microseconds.id`.
  fileprivate var pageToken: String { "\(storedAt.rawValue).\(id)" }

  fileprivate init(pageToken: String) throws(RPCError) {
    let parts = pageToken.split(separator: ".")
    guard parts.count == 2, let time = Int64(parts[0]), let id = Int64(parts[1]) else {
      throw RPCError(.invalidArgument, "page_token '\(pageToken.prefix(64))' is not one that Query returned")
    }
    self.init(storedAt: Timestamp(rawValue: time), id: id)
  }
}
