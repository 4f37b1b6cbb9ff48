import RPC
import Synchronization
import TimeAndChance

/// One end of a connection in memory: takes what its connection sends and delivers it to the other end.
final class MemoryIO: ConnectionIO {
  private struct State {
    var connection: (any DrivenConnection)?
    var other: MemoryIO?
    /// What the connection wants; while it does not read, the other end holds its bytes back.
    var demand = TransportDemand()
    var timer: Task<Void, Never>?
    var isPumping = false
    /// Set by whoever wants a delivery, cleared by the pump before it looks: no wake is lost between the two.
    var hasWork = false
  }

  /// Where handlers run; what moves bytes runs on the network's.
  let executor: any TaskExecutor
  private let network: any TaskExecutor
  let peer: PeerInfo
  private let link: MemoryNetwork.Link
  private let clock: any ServiceClock
  private let fate: MemoryNetwork.FaultHook
  private let state = Mutex(State())

  init(link: MemoryNetwork.Link, network: MemoryNetwork, executor: (any TaskExecutor)? = nil) {
    self.link = link
    self.executor = executor ?? network.executor
    self.network = network.executor
    clock = network.clock
    fate = network.fate
    peer = PeerInfo(address: "memory:\(link.destination)", identity: link.destination)
  }

  /// Joins `connection` to this end and this end to the other; both ends must be joined before bytes flow.
  func join(_ connection: any DrivenConnection, to other: MemoryIO) {
    state.withLock { state in
      state.connection = connection
      state.other = other
    }
    // Either connection may have asked for something while there was nobody to hear it.
    startPump()
    other.startPump()
  }

  func wake() { startPump() }

  /// Breaks the connection; both ends notice, and bytes not delivered yet are lost.
  func breakConnection(_ reason: String) {
    let (connection, other) = detach()
    let target = other?.detach().connection
    let error = RPCError(.unavailable, reason)
    connection?.closed(error)
    target?.closed(error)
  }

  private func detach() -> (connection: (any DrivenConnection)?, other: MemoryIO?) {
    let (connection, other, timer) = state.withLock { state in
      defer {
        state.connection = nil
        state.other = nil
        state.timer = nil
      }
      return (state.connection, state.other, state.timer)
    }
    timer?.cancel()
    return (connection, other)
  }
}

// MARK: - Delivery

extension MemoryIO {
  /// Starts to deliver, unless a delivery is under way and will look again.
  private func startPump() {
    let mustStart = state.withLock { state in
      state.hasWork = true
      defer { state.isPumping = true }
      return !state.isPumping
    }
    guard mustStart else { return }
    Task(executorPreference: network) { await self.pump() }
  }

  /// Delivers until there is nothing to deliver or the other end does not read.
  private func pump() async {
    var bytes: [UInt8] = []
    while beginRound() {
      let (connection, other) = state.withLock { ($0.connection, $0.other) }
      guard let connection, let other else { continue }
      let demand = connection.demand()
      obey(demand, other)
      // An end that closes flushes first, as TCP does, whether the other reads or not.
      guard let target = other.receiver(evenIfPaused: demand.closes) else { continue }
      bytes.removeAll(keepingCapacity: true)
      connection.takeOutbound(&bytes)
      if bytes.isEmpty {
        if demand.closes { breakConnection("the peer closed the connection") }
        continue
      }
      state.withLock { $0.hasWork = true }
      switch fate(link, bytes.count) {
      case .reset: breakConnection("the connection was reset")
      case .deliver(let delay):
        // Nobody cancels the pump, so the sleep ends at its time.
        if delay > .zero { try? await clock.sleep(until: clock.now.advanced(by: delay), tolerance: nil) }
        target.receive(bytes.span.bytes)
        // What was received is looked at before more comes, as if it took time.
        await Task.yield()
      }
    }
  }

  /// Whether there may be something to deliver; if not, the pump ends with this call.
  private func beginRound() -> Bool {
    state.withLock { state in
      defer { state.hasWork = false }
      if !state.hasWork { state.isPumping = false }
      return state.hasWork
    }
  }

  private func receiver(evenIfPaused: Bool) -> (any DrivenConnection)? {
    state.withLock { $0.demand.reads || evenIfPaused ? $0.connection : nil }
  }

  private func obey(_ demand: TransportDemand, _ other: MemoryIO) {
    let previous = state.withLock { state in
      defer { state.demand = demand }
      return state.demand
    }
    if demand.reads && !previous.reads { other.startPump() }
    if demand.timer != previous.timer { setTimer(demand.timer) }
  }

  private func setTimer(_ instant: ContinuousClock.Instant?) {
    let timer = instant.map { instant in
      Task(executorPreference: network) { [clock] in
        do {
          try await clock.sleep(until: instant, tolerance: nil)
        } catch {
          // Overtaken by another timer, or by the end of the connection.
          return
        }
        self.timerFired()
      }
    }
    let previous = state.withLock { state in
      defer { state.timer = timer }
      return state.timer
    }
    previous?.cancel()
  }

  private func timerFired() {
    let connection = state.withLock { state in
      // The timer is used up: the connection's next demand sets another, even for the same instant.
      state.demand.timer = nil
      return state.connection
    }
    connection?.timerFired()
    startPump()
  }
}
