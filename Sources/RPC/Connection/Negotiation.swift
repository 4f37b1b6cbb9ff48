/// What the two ends of a connection have agreed on beyond plain ttrpc, and what they do about the connection as a whole: a
/// pure value, the same on both sides.
struct Negotiation: Sendable {
  /// What is known of the peer.
  enum Peer: Sendable, Hashable {
    /// It has not said anything yet.
    case unknown
    /// It speaks plain ttrpc.
    case plain
    /// It speaks the extensions and takes this much.
    case extended(Hello)
  }

  /// What a frame about the connection asks for.
  enum Event: Sendable, Hashable {
    /// The peer speaks the extensions: it is to be answered if it began, and what it takes holds from now on.
    case hello(Hello, mustAnswer: Bool)
    /// Give this back.
    case ping([UInt8])
    /// The answer to a ping of ours came.
    case pong([UInt8])
    /// The peer takes more data of a stream or of the connection.
    case window(StreamID, Int)
    /// The peer takes no more calls.
    case goAway(GoAway)
    /// The peer breaks the protocol of the connection, which cannot go on.
    case violation(RPCError)
    /// Nothing to do.
    case ignored
  }

  /// How many pings that come too early are forgiven.
  static let forgivenPings = 2

  private(set) var peer = Peer.unknown
  private let isServer: Bool
  private let minimumPingInterval: Duration
  private var lastPing: ContinuousClock.Instant?
  private var earlyPings = 0

  init(isServer: Bool, minimumPingInterval: Duration) {
    self.isServer = isServer
    self.minimumPingInterval = minimumPingInterval
  }

  var isExtended: Bool {
    if case .extended = peer { return true }
    return false
  }

  /// What the peer takes, if it has said so.
  var hello: Hello? {
    if case .extended(let hello) = peer { return hello }
    return nil
  }

  /// The peer has said something else first, or nothing in time: it speaks plain ttrpc, as far as is known.
  mutating func settleForPlain() {
    if peer == .unknown { peer = .plain }
  }

  /// A frame whose type is one of the connection's.
  mutating func receive(_ frame: Frame, at now: ContinuousClock.Instant) -> Event {
    let isAnswer = frame.flags.contains(.acknowledgement)
    switch frame.type {
    case .hello:
      // A client begins and a server answers; anything else is a mistake that harms nothing.
      guard frame.streamID == .connection, isAnswer != isServer, !isExtended else { return .ignored }
      do throws(EnvelopeError) {
        let hello = try Hello(parsing: frame.payload[...])
        peer = .extended(hello)
        return .hello(hello, mustAnswer: isServer)
      } catch {
        return .violation(RPCError(.invalidArgument, "a HELLO that cannot be read: \(error.reason)"))
      }
    // Nobody who has not said hello may use the rest.
    case _ where !isExtended: return .ignored
    case .ping:
      guard frame.streamID == .connection, frame.payload.count == 8 else {
        return .violation(RPCError(.invalidArgument, "a PING has 8 bytes, not \(frame.payload.count)"))
      }
      if isAnswer { return .pong(frame.payload) }
      return countPing(at: now) ?? .ping(frame.payload)
    case .window:
      guard frame.payload.count == 4 else {
        return .violation(RPCError(.invalidArgument, "a WINDOW has 4 bytes, not \(frame.payload.count)"))
      }
      return .window(frame.streamID, frame.payload.reduce(0) { $0 << 8 | Int($1) })
    case .goAway:
      guard frame.streamID == .connection else { return .ignored }
      do throws(EnvelopeError) {
        return .goAway(try GoAway(parsing: frame.payload[...]))
      } catch {
        return .violation(RPCError(.invalidArgument, "a GOAWAY that cannot be read: \(error.reason)"))
      }
    default: return .ignored
    }
  }

  /// A ping for nothing costs us as much as one for something.
  private mutating func countPing(at now: ContinuousClock.Instant) -> Event? {
    defer { lastPing = now }
    guard isServer, let lastPing, lastPing.duration(to: now) < minimumPingInterval else { return nil }
    earlyPings += 1
    guard earlyPings > Self.forgivenPings else { return nil }
    return .violation(
      RPCError(.resourceExhausted, "too many pings: this server wants them \(minimumPingInterval) apart"))
  }
}

extension FrameType {
  /// Whether frames of this type are about the connection, or about credit.
  var isAboutConnection: Bool { self == .hello || self == .ping || self == .window || self == .goAway }
}

extension Hello {
  /// What this end takes.
  init(_ limits: ConnectionLimits, isServer: Bool) {
    maximumFrame = limits.maximumFramePayload
    maximumMessage = limits.maximumMessageBytes
    streamWindow = limits.streamWindow
    connectionWindow = limits.connectionWindow
    maximumCalls = isServer ? limits.maximumConcurrentCalls : 0
    minimumPingInterval = isServer ? Int(limits.minimumPingInterval / .milliseconds(1)) : 0
  }
}
