import Testing

@testable import RPC

/// The client's machine by table: each frame type with each combination of flags, with and without payload, in each state
/// of a call. A column is a frame, a letter its outcome:
///
/// - `R` is a response, `F` one with an error;
/// - `H` is the metadata of the replies;
/// - `M` is a message, `L` the last one, `E` the end without one, `G` the end with an error;
/// - `-` is deliberately ignored: a correct peer may send it;
/// - `!` is the peer's mistake: the call fails and the peer is told to stop it.
///
/// What would be our own mistake is a precondition failure.
@Suite struct ClientConnectionMachineTests {
  typealias Machine = ClientConnectionMachine<String>

  static let id = StreamID(1)

  enum State: String, CaseIterable {
    case unary, serverStreaming, clientStreaming, clientStreamingHalfClosed, bidirectional, bidirectionalHalfClosed
    /// Given up by the caller.
    case abandoned
    /// An id that was never used.
    case unused

    var shape: CallShape {
      switch self {
      case .unary, .abandoned, .unused: .unary
      case .serverStreaming: .serverStreaming
      case .clientStreaming, .clientStreamingHalfClosed: .clientStreaming
      case .bidirectional, .bidirectionalHalfClosed: .bidirectional
      }
    }

    var isRunning: Bool { self != .abandoned && self != .unused }

    var machine: Machine {
      var machine = Machine(metadataLimit: 1000)
      if self == .unused { return machine }
      _ = machine.begin(shape) { _ in "call" }
      if self == .clientStreamingHalfClosed || self == .bidirectionalHalfClosed { _ = machine.endRequests(id) }
      if self == .abandoned { _ = machine.abandon(id) }
      return machine
    }
  }

  private func letter(_ event: Machine.Event) -> Character {
    switch event {
    case .response(_, let response): response.error == nil ? "R" : "F"
    case .headers: "H"
    case .message(_, _, let ended): ended ? "L" : "M"
    case .ended(_, let end): end.error == nil ? "E" : "G"
    case .violation: "!"
    case .ignored: "-"
    }
  }

  private func outcomes(_ state: State, _ frames: [Frame]) -> String {
    String(
      frames.map { frame in
        var machine = state.machine
        let outcome = letter(machine.receive(frame))
        let survives = state.isRunning && "MH-".contains(outcome)
        #expect(machine.callCount == (survives ? 1 : 0), "\(state) \(frame)")
        return outcome
      })
  }

  private static let allFlags = (0...7).map { FrameFlags(rawValue: $0) } + [FrameFlags(rawValue: 0x90)]

  @Test(arguments: [
    // flags:            00 01 02 03 04 05 06 07 90, empty, then with payload
    (State.unary, "!!!!!!!!!", "!!!!!!!!!"),
    (.clientStreaming, "!!!!!!!!!", "!!!!!!!!!"),
    (.clientStreamingHalfClosed, "!!!!!!!!!", "!!!!!!!!!"),
    (.serverStreaming, "MEME-E-EM", "MLMLMLMLM"),
    (.bidirectional, "MEME-E-EM", "MLMLMLMLM"),
    (.bidirectionalHalfClosed, "MEME-E-EM", "MLMLMLMLM"),
    (.abandoned, "---------", "---------"),
    (.unused, "---------", "---------"),
  ]) func data(state: State, empty: String, full: String) {
    func frames(_ payload: [UInt8]) -> [Frame] {
      Self.allFlags.map { Frame(streamID: Self.id, type: .data, flags: $0, payload: payload) }
    }
    #expect(outcomes(state, frames([])) == empty)
    #expect(outcomes(state, frames([1])) == full)
  }

  @Test(arguments: [
    // OK and empty, OK with payload, an error, an error with payload, garbage
    (State.unary, "RRFFF"), (.clientStreaming, "RRFFF"), (.clientStreamingHalfClosed, "RRFFF"),
    (.serverStreaming, "RRFFF"), (.bidirectional, "RRFFF"), (.bidirectionalHalfClosed, "RRFFF"),
    (.abandoned, "-----"), (.unused, "-----"),
  ]) func responses(state: State, expected: String) {
    let error = RPCError(.notFound, "no")
    let envelopes = [
      ResponseEnvelope(), ResponseEnvelope(payload: [1]), ResponseEnvelope(error: error),
      ResponseEnvelope(error: error, payload: [1]),
    ]
    var payloads = envelopes.map { envelope in
      var bytes: [UInt8] = []
      envelope.append(to: &bytes)
      return bytes
    }
    payloads.append([0x12, 0x05, 1])
    for flags in Self.allFlags {
      let frames = payloads.map { Frame(streamID: Self.id, type: .response, flags: flags, payload: $0) }
      #expect(outcomes(state, frames) == expected)
    }
  }

  @Test func theErrorOfGarbageIsInternal() {
    var machine = State.unary.machine
    let event = machine.receive(Frame(streamID: Self.id, type: .response, payload: [0xFF]))
    guard case .response(_, let response) = event, let error = response.error else {
      Issue.record("\(event)")
      return
    }
    #expect(error.code == .internal)
  }

  private static func bytes(_ append: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes: [UInt8] = []
    append(&bytes)
    return bytes
  }

  @Test(arguments: [
    // OK, with trailers, an error, garbage, too many trailers
    (State.unary, "!!!!!"), (.clientStreaming, "!!!!!"), (.clientStreamingHalfClosed, "!!!!!"),
    (.serverStreaming, "EEGGG"), (.bidirectional, "EEGGG"), (.bidirectionalHalfClosed, "EEGGG"),
    (.abandoned, "-----"), (.unused, "-----"),
  ]) func ends(state: State, expected: String) {
    let large: Metadata = ["key": String(repeating: "x", count: 1000)]
    let payloads = [
      [], Self.bytes(StreamEnd(trailers: ["a": "b"]).append),
      Self.bytes(StreamEnd(error: RPCError(.notFound, "no")).append),
      [0x0A, 5, 1], Self.bytes(StreamEnd(trailers: large).append),
    ]
    for flags in Self.allFlags {
      let frames = payloads.map { Frame(streamID: Self.id, type: .end, flags: flags, payload: $0) }
      #expect(outcomes(state, frames) == expected)
    }
  }

  /// Headers come once and before any message; without them a call goes on all the same.
  @Test(arguments: [
    // none, one pair, garbage, too many
    (State.unary, "HH!!"), (.clientStreaming, "HH!!"), (.clientStreamingHalfClosed, "HH!!"),
    (.serverStreaming, "HH!!"), (.bidirectional, "HH!!"), (.bidirectionalHalfClosed, "HH!!"),
    (.abandoned, "----"), (.unused, "----"),
  ]) func headers(state: State, expected: String) {
    let large: Metadata = ["key": String(repeating: "x", count: 1000)]
    let payloads = [
      [], Self.bytes { $0.appendMetadata(1, ["a": "b"]) }, [0x0A, 5, 1], Self.bytes { $0.appendMetadata(1, large) },
    ]
    for flags in Self.allFlags {
      let frames = payloads.map { Frame(streamID: Self.id, type: .headers, flags: flags, payload: $0) }
      #expect(outcomes(state, frames) == expected)
    }
  }

  @Test func lateHeadersAreTheServersMistake() {
    let headers = Frame(streamID: Self.id, type: .headers)
    for before in [headers, Frame(streamID: Self.id, type: .data, payload: [1])] {
      var machine = State.serverStreaming.machine
      _ = machine.receive(before)
      #expect(letter(machine.receive(headers)) == "!")
      #expect(machine.callCount == 0)
    }
  }

  @Test func whatAServerHasPassedOverIsHandedOut() {
    var machine = Machine(metadataLimit: 0)
    for _ in 0..<5 { _ = machine.begin(.unary) { "\($0)" } }
    #expect(machine.passOver(above: StreamID(5)).map(\.call) == ["7", "9"])
    #expect(machine.passOver(above: .last).isEmpty)
    #expect(machine.close() == ["1", "3", "5"])
  }

  /// Requests and cancels, which only clients send, and frames of unknown types are ignored in every state.
  @Test(arguments: State.allCases) func others(state: State) {
    for type in [0, 1, 4, 0x40, 0x41, 0x42, 0x43, 0x46, 0xFF] {
      let frames = Self.allFlags.map {
        Frame(streamID: Self.id, type: FrameType(rawValue: UInt8(type)), flags: $0, payload: [1])
      }
      #expect(outcomes(state, frames) == "---------")
    }
  }

  @Test(arguments: State.allCases) func oversize(state: State) {
    let expected = state.isRunning ? "!!--" : "----"
    let types: [FrameType] = [.response, .data, .request, FrameType(rawValue: 0x50)]
    let outcomes = types.map { type in
      var machine = state.machine
      let header = FrameHeader(length: 5000, streamID: Self.id, type: type, flags: [])
      let event = machine.receiveOversize(header, limit: 4096)
      if case .violation(_, let error) = event {
        #expect(error.code == .resourceExhausted)
        #expect(machine.callCount == 0)
      }
      return letter(event)
    }
    #expect(String(outcomes) == expected)
  }

  private static let openings: [(CallShape, FrameFlags)] = [
    (.unary, []), (.serverStreaming, .remoteClosed), (.clientStreaming, [.remoteOpen, .noData]),
    (.bidirectional, [.remoteOpen, .noData]),
  ]

  @Test(arguments: openings) func requestFlags(shape: CallShape, flags: FrameFlags) {
    var machine = Machine(metadataLimit: 0)
    let first = machine.begin(shape) { "\($0)" }
    let second = machine.begin(shape) { "\($0)" }
    #expect(first == (StreamID(1), flags) && second == (StreamID(3), flags))
    #expect(machine.close() == ["1", "3"])
  }

  @Test(arguments: State.allCases) func sendingRequests(state: State) {
    var machine = state.machine
    let mayEnd = state == .clientStreaming || state == .bidirectional
    #expect(machine.maySend(Self.id) == mayEnd)
    let ends = [machine.endRequests(Self.id), machine.endRequests(Self.id)]
    #expect(ends == [mayEnd, false])
    #expect(!machine.maySend(Self.id))
    let abandoned = [machine.abandon(Self.id), machine.abandon(Self.id)]
    #expect(abandoned == [state.isRunning ? "call" : nil, nil])
  }

  /// The last id is 0x7FFFFFFF; then the connection serves the calls it has.
  @Test func exhaustion() {
    #expect(StreamID.last == StreamID(0x7FFF_FFFF))
    var machine = Machine(lastID: StreamID(5), metadataLimit: 0)
    for id in [1, 3, 5] as [UInt32] {
      #expect(!machine.isExhausted)
      let call = machine.begin(.unary) { _ in "call" }
      #expect(call.id == StreamID(id))
    }
    #expect(machine.isExhausted)
    #expect(letter(machine.receive(Frame(streamID: StreamID(3), type: .response))) == "R")
    #expect(machine.callCount == 2)
  }

  @Test func beginningWithoutAnIDIsOurMistake() async {
    await #expect(processExitsWith: .failure) {
      var machine = ClientConnectionMachine<String>(lastID: StreamID(1), metadataLimit: 0)
      _ = machine.begin(.unary) { _ in "a" }
      _ = machine.begin(.unary) { _ in "b" }
    }
  }
}
