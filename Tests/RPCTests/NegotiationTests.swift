import Testing

@testable import RPC

/// What is said about the connection, by table: every frame of that kind in every state of either end.
///
/// - `H` the peer says what it takes, `A` and is to be answered;
/// - `P` a ping is to be given back, `p` one came back;
/// - `W` credit, `G` the peer takes no more calls;
/// - `-` is deliberately ignored: a peer that has not said hello may not use the extensions, and one that says it twice, or
///   out of turn, harms nothing;
/// - `!` is the peer's mistake, with which the connection ends.
@Suite struct NegotiationTests {
  enum State: String, CaseIterable { case unknown, plain, extended }

  private let now = ContinuousClock.now

  private func negotiation(_ state: State, isServer: Bool) -> Negotiation {
    var negotiation = Negotiation(isServer: isServer, minimumPingInterval: .seconds(10))
    switch state {
    case .unknown: break
    case .plain: negotiation.settleForPlain()
    case .extended:
      let flags: FrameFlags = isServer ? [] : .acknowledgement
      _ = negotiation.receive(Frame(streamID: .connection, type: .hello, flags: flags), at: now)
    }
    return negotiation
  }

  private func letter(_ event: Negotiation.Event) -> Character {
    switch event {
    case .hello(_, let mustAnswer): mustAnswer ? "A" : "H"
    case .ping: "P"
    case .pong: "p"
    case .window: "W"
    case .goAway: "G"
    case .violation: "!"
    case .ignored: "-"
    }
  }

  private static let frames: [(String, Frame)] = {
    let eight = [UInt8](repeating: 1, count: 8)
    let one = StreamID.first
    return [
      ("hello", Frame(streamID: .connection, type: .hello)),
      ("hello back", Frame(streamID: .connection, type: .hello, flags: .acknowledgement)),
      ("hello of a stream", Frame(streamID: one, type: .hello)),
      ("hello, garbage", Frame(streamID: .connection, type: .hello, payload: [0xFF])),
      ("ping", Frame(streamID: .connection, type: .ping, payload: eight)),
      ("ping back", Frame(streamID: .connection, type: .ping, flags: .acknowledgement, payload: eight)),
      ("ping of a stream", Frame(streamID: one, type: .ping, payload: eight)),
      ("short ping", Frame(streamID: .connection, type: .ping, payload: [1])),
      ("window", Frame(streamID: .connection, type: .window, payload: [0, 0, 1, 2])),
      ("window of a stream", Frame(streamID: one, type: .window, payload: [0, 0, 1, 2])),
      ("short window", Frame(streamID: one, type: .window, payload: [1])),
      ("go away", Frame(streamID: .connection, type: .goAway)),
      ("go away of a stream", Frame(streamID: one, type: .goAway)),
      ("go away, garbage", Frame(streamID: .connection, type: .goAway, payload: [0xFF])),
    ]
  }()

  @Test(arguments: [
    (true, State.unknown, "A--!----------"), (true, .plain, "A--!----------"), (true, .extended, "----Pp!!WW!G-!"),
    (false, .unknown, "-H------------"), (false, .plain, "-H------------"), (false, .extended, "----Pp!!WW!G-!"),
  ]) func frames(isServer: Bool, state: State, expected: String) {
    let outcome = Self.frames.map { _, frame in
      var negotiation = negotiation(state, isServer: isServer)
      return letter(negotiation.receive(frame, at: now))
    }
    #expect(String(outcome) == expected)
  }

  @Test func creditIsReadAsItIsWritten() {
    var negotiation = negotiation(.extended, isServer: true)
    let frame = Frame(streamID: StreamID(9), type: .window, payload: [0x01, 0x02, 0x03, 0x04])
    #expect(negotiation.receive(frame, at: now) == .window(StreamID(9), 0x0102_0304))
  }

  /// A peer that seemed plain may still say hello; then it is not plain any more.
  @Test func aLateHelloCounts() {
    var negotiation = negotiation(.plain, isServer: false)
    #expect(!negotiation.isExtended)
    var bytes: [UInt8] = []
    Hello(maximumCalls: 5).append(to: &bytes)
    _ = negotiation.receive(
      Frame(streamID: .connection, type: .hello, flags: .acknowledgement, payload: bytes), at: now)
    #expect(negotiation.hello?.maximumCalls == 5)
    negotiation.settleForPlain()
    #expect(negotiation.isExtended)
  }

  /// Two pings that come too early are forgiven, the third ends the connection; those that keep their distance never do.
  @Test func tooManyPings() {
    let ping = Frame(streamID: .connection, type: .ping, payload: [UInt8](repeating: 0, count: 8))
    func outcomes(every interval: Duration, isServer: Bool) -> String {
      var negotiation = negotiation(.extended, isServer: isServer)
      return String((0..<6).map { letter(negotiation.receive(ping, at: now.advanced(by: interval * $0))) })
    }
    #expect(outcomes(every: .seconds(1), isServer: true) == "PPP!!!")
    #expect(outcomes(every: .seconds(10), isServer: true) == "PPPPPP")
    #expect(outcomes(every: .seconds(1), isServer: false) == "PPPPPP")
  }
}

/// When a peer is pinged, and when it is given up.
@Suite struct PingTimerTests {
  private let start = ContinuousClock.now
  private func at(_ seconds: Int) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

  private func timer(withoutCalls: Bool = false, peerAllows: Duration = .zero) -> PingTimer {
    PingTimer(
      Keepalive(interval: .seconds(10), timeout: .seconds(3), withoutCalls: withoutCalls), peerAllows: peerAllows,
      now: start)
  }

  @Test func aSilentPeerIsPingedAndThenGivenUp() {
    var timer = timer()
    #expect(timer.next == at(10) && timer.check(at: at(9), hasCalls: true) == .nothing)
    #expect(timer.check(at: at(10), hasCalls: true) == .ping)
    #expect(timer.next == at(13) && timer.check(at: at(12), hasCalls: true) == .nothing)
    #expect(timer.check(at: at(13), hasCalls: true) == .gone)
  }

  @Test func whateverComesCountsAsAnAnswer() {
    var timer = timer()
    _ = timer.check(at: at(10), hasCalls: true)
    timer.heard(at: at(11))
    #expect(timer.next == at(21) && timer.check(at: at(14), hasCalls: true) == .nothing)
  }

  @Test func withoutCallsNobodyIsPingedUnlessAsked() {
    var timer = timer()
    #expect(timer.check(at: at(10), hasCalls: false) == .nothing && timer.next == at(20))
    var other = self.timer(withoutCalls: true)
    #expect(other.check(at: at(10), hasCalls: false) == .ping)
  }

  @Test func notOftenerThanThePeerAllows() {
    #expect(timer(peerAllows: .seconds(60)).next == at(60))
  }
}
