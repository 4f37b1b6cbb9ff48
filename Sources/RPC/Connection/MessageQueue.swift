import DequeModule
import Synchronization

/// The messages of one direction of one call, between the connection that delivers and the one task that consumes.
///
/// Bounded by credit where the peer counts it: `inflow` says what the peer may send, and grants follow what is consumed.
/// Where it does not, the connection bounds it: when a queue weighs more than `highWater`, the connection stops reading until
/// the consumer has brought it down to `lowWater`. What was read before that still arrives: at most one read of the
/// transport.
final class MessageQueue: Sendable {
  static let highWater = 1024 * 1024
  static let lowWater = highWater / 2
  /// What a message weighs beyond its bytes, so that empty ones are bounded as well.
  static let messageOverhead = 64

  /// What became of a message.
  enum Delivery {
    case taken
    /// The connection must stop reading.
    case mustStall
    /// The peer had no credit for it.
    case overrun
  }

  private struct State {
    var inflow: Inflow?
    /// With what each has cost of the peer's credit.
    var messages: Deque<(bytes: ArraySlice<UInt8>, cost: Int)> = []
    var weight = 0
    var isStalling = false
    /// Set when nothing more will be pushed: how the stream ended.
    var end: Result<Void, RPCError>?
    var consumer: MessageContinuation?
  }

  private let state: Mutex<State>
  private let id: StreamID
  private let owner: any QueueOwner

  /// `owner` is told when a consumer that stalled the connection has caught up. `window` is the credit with which the peer
  /// begins, nil for a peer that counts none.
  init(id: StreamID, owner: any QueueOwner, window: Int? = nil) {
    self.id = id
    self.owner = owner
    state = Mutex(State(inflow: window.map { Inflow(window: $0) }))
  }

  /// Delivers a message. Unless it is `counted`, as a message of a peer that counts credit is, it costs none: what a plain
  /// peer sends, and what came with the request.
  func push(_ message: ArraySlice<UInt8>, counted: Bool, _ deferred: inout Deferred) -> Delivery {
    let cost = counted ? message.count + Outbound.messageCost : 0
    let (consumer, grant, delivery) = state.withLock { state -> (MessageContinuation?, Int?, Delivery) in
      guard state.end == nil else { return (nil, nil, .taken) }
      if counted, state.inflow?.receive(cost) == false { return (nil, nil, .overrun) }
      if let consumer = state.consumer.take() { return (consumer, state.inflow?.take(cost), .taken) }
      state.messages.append((message, cost))
      state.weight += message.count + Self.messageOverhead
      if counted && state.inflow != nil { return (nil, nil, .taken) }
      guard state.weight > Self.highWater, !state.isStalling else { return (nil, nil, .taken) }
      state.isStalling = true
      return (nil, nil, .mustStall)
    }
    if let consumer { deferred.resume(consumer, .success(message)) }
    if let grant { deferred.run { [owner, id] in owner.grant(grant, to: id) } }
    return delivery
  }

  /// Nothing more will be pushed. What is queued is still delivered.
  func finish(_ end: Result<Void, RPCError>, _ deferred: inout Deferred) {
    let consumer = state.withLock { state -> MessageContinuation? in
      guard state.end == nil else { return nil }
      state.end = end
      return state.consumer.take()
    }
    if let consumer { deferred.resume(consumer, end.map { nil }) }
  }

  /// The call failed: what is queued is dropped, and whoever reads on is told, even after the stream's regular end.
  func fail(_ error: RPCError, _ deferred: inout Deferred) {
    let consumer = state.withLock { state -> MessageContinuation? in
      state.messages = []
      state.weight = 0
      state.isStalling = false
      state.end = .failure(error)
      return state.consumer.take()
    }
    if let consumer { deferred.resume(consumer, .failure(error)) }
  }

  /// How the stream failed, if it has.
  var failure: RPCError? {
    state.withLock { state in
      if case .failure(let error) = state.end { return error }
      return nil
    }
  }

  /// The next message, or nil at the end; throws how the stream failed, or `CANCELLED` when the consuming task is
  /// cancelled. One task at a time may wait.
  func next() async throws(RPCError) -> ArraySlice<UInt8>? {
    if let taken = take() { return try taken.get() }
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if let taken = take(orWait: continuation) { continuation.resume(returning: taken) }
      }
    } onCancel: {
      let consumer = state.withLock { $0.consumer.take() }
      consumer?.resume(returning: .failure(Self.readerCancelled))
    }
    return try result.get()
  }

  private static let readerCancelled = RPCError(.cancelled, "the task that reads was cancelled")

  /// What can be had without waiting; nil if the consumer has to wait, which `orWait` then does.
  private func take(orWait consumer: MessageContinuation? = nil) -> Result<ArraySlice<UInt8>?, RPCError>? {
    var hasDrained = false
    var grant: Int?
    let taken = state.withLock { state -> Result<ArraySlice<UInt8>?, RPCError>? in
      if let (message, cost) = state.messages.popFirst() {
        state.weight -= message.count + Self.messageOverhead
        // After the end nothing more comes that would need credit.
        if state.end == nil { grant = state.inflow?.take(cost) }
        hasDrained = state.isStalling && state.weight <= Self.lowWater
        if hasDrained { state.isStalling = false }
        return .success(message)
      }
      if let end = state.end { return end.map { nil } }
      guard let consumer else { return nil }
      // The cancellation handler runs after the task was marked and takes this lock: it cannot come between.
      if Task.isCancelled { return .failure(Self.readerCancelled) }
      precondition(state.consumer == nil, "two tasks read one stream at the same time")
      state.consumer = consumer
      return nil
    }
    if hasDrained { owner.caughtUp(id) }
    if let grant { owner.grant(grant, to: id) }
    return taken
  }
}

/// The connection that fills a queue.
protocol QueueOwner: AnyObject, Sendable {
  /// The consumer of call `id`, which had stalled the connection, has caught up.
  func caughtUp(_ id: StreamID)
  /// The consumer of call `id` has made room: the peer may send `credit` more.
  func grant(_ credit: Int, to id: StreamID)
}
