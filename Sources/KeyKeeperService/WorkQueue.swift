import Synchronization

/// Work that comes from anywhere and is done by a few tasks, which take all there is at once: so the more there is to do, the
/// more is done in one call, and a lone piece waits for nothing.
final class WorkQueue<Item: Sendable>: Sendable {
  private struct State {
    var items: [Item] = []
    var idle: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var lastTicket: UInt64 = 0
    var isClosed = false
  }

  private let limit: Int
  private let activity: Activity
  private let state = Mutex(State())

  /// A queue of at most `limit` items, which count as under way in `activity` until they are reported finished.
  init(limit: Int, activity: Activity) {
    self.limit = limit
    self.activity = activity
  }

  /// Adds an item; false if the queue is full or closed.
  func append(_ item: Item) -> Bool {
    let (isTaken, idle) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
      guard !state.isClosed, state.items.count < limit else { return (false, nil) }
      activity.begin()
      state.items.append(item)
      guard let ticket = state.idle.keys.min() else { return (true, nil) }
      return (true, state.idle.removeValue(forKey: ticket))
    }
    idle?.resume()
    return isTaken
  }

  /// Waits for work and takes at most `count` items; nothing when the task is cancelled or the queue closed.
  func next(upTo count: Int) async -> [Item] {
    while true {
      let items = state.withLock { state -> [Item]? in
        if state.items.isEmpty { return state.isClosed || Task.isCancelled ? [] : nil }
        let items = Array(state.items.prefix(count))
        state.items.removeFirst(items.count)
        return items
      }
      if let items { return items }
      await waitForWork()
    }
  }

  /// Takes at most `count` items without waiting.
  func more(upTo count: Int) -> [Item] {
    state.withLock { state in
      let items = Array(state.items.prefix(count))
      state.items.removeFirst(items.count)
      return items
    }
  }

  /// Reports that items taken, and what follows from them, are done with.
  func finished(_ count: Int) { activity.end(count) }

  /// Takes no more items; returns those that are left.
  func close() -> [Item] {
    let (items, idle) = state.withLock { state in
      state.isClosed = true
      defer {
        state.items = []
        state.idle = [:]
      }
      return (state.items, state.idle.sorted { $0.key < $1.key }.map(\.value))
    }
    for continuation in idle { continuation.resume() }
    activity.end(items.count)
    return items
  }

  private func waitForWork() async {
    let ticket = state.withLock { state in
      state.lastTicket += 1
      return state.lastTicket
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          if !state.items.isEmpty || state.isClosed || Task.isCancelled { return true }
          state.idle[ticket] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      let continuation = state.withLock { $0.idle.removeValue(forKey: ticket) }
      continuation?.resume()
    }
  }
}
