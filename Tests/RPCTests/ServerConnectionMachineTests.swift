import Testing

@testable import RPC

/// The server's machine by table: each frame type with each combination of flags, with and without payload, in each state
/// of a stream. A column is a frame, a letter its outcome:
///
/// - `o` opens a call without a message, `O` with one, and `c`, `C` the same with no more to come;
/// - `M` is a message, `L` the last one, `E` the end without one;
/// - `X` the caller gives up;
/// - `-` is deliberately ignored: a correct peer may send it;
/// - `!` is the peer's mistake: answered with an error, which ends the call if there is one.
///
/// What would be our own mistake is a precondition failure.
@Suite struct ServerConnectionMachineTests {
  typealias Machine = ServerConnectionMachine<String>

  static let id = StreamID(5)

  enum State: String, CaseIterable {
    /// The id is above all that were used.
    case unused
    /// Opened, may send messages.
    case messages
    /// Opened for a method that takes one request, which has not come.
    case oneMessage
    /// Opened for a method that takes one request, which has come.
    case onlyTheEnd
    /// All requests have come, the server has not answered.
    case halfClosed
    /// The server has answered.
    case finished
    /// The caller has given up.
    case cancelled
    /// The id was passed over.
    case skipped

    var isRunning: Bool { [.messages, .oneMessage, .onlyTheEnd, .halfClosed].contains(self) }

    var machine: Machine {
      var machine = Machine(metadataLimit: 1000)
      let payload: ArraySlice<UInt8>? = self == .onlyTheEnd ? [1] : nil
      let opening = Machine.Opening(
        id: id, envelope: RequestEnvelope(), message: payload, ended: self == .halfClosed)
      switch self {
      case .unused: return machine
      case .skipped:
        _ = machine.receive(request(StreamID(7)))
        return machine
      case .oneMessage, .onlyTheEnd:
        _ = machine.receive(request(id))
        machine.accept(opening, .unary, "call")
      case .messages, .halfClosed, .finished, .cancelled:
        _ = machine.receive(request(id))
        machine.accept(opening, .bidirectional, "call")
      }
      if self == .finished { _ = machine.finish(id) }
      if self == .cancelled { _ = machine.receive(Frame(streamID: id, type: .cancel)) }
      return machine
    }
  }

  static func request(_ id: StreamID, _ flags: FrameFlags = [], payload: ArraySlice<UInt8> = []) -> Frame {
    var bytes: [UInt8] = []
    RequestEnvelope(name: MethodName(service: "s", method: "m"), payload: payload).append(to: &bytes)
    return Frame(streamID: id, type: .request, flags: flags, payload: bytes)
  }

  /// The letter of an event.
  private func letter(_ event: Machine.Event) -> Character {
    switch event {
    case .open(let opening):
      let letter: Character = opening.ended ? "c" : "o"
      return opening.message == nil ? letter : Character(letter.uppercased())
    case .message(_, let message, let ended): return message == nil ? "E" : ended ? "L" : "M"
    case .cancelled: return "X"
    case .reject: return "!"
    case .ignored: return "-"
    }
  }

  /// Runs one row: each frame on a fresh machine in the state.
  private func outcomes(_ state: State, _ frames: [Frame]) -> String {
    String(
      frames.map { frame in
        var machine = state.machine
        let event = machine.receive(frame)
        let outcome = letter(event)
        if case .reject(let error, let call) = event {
          #expect(error.code == .invalidArgument)
          #expect((call == nil) == !state.isRunning, "\(state) \(frame)")
        }
        // A call ends with its caller's cancel and with a mistake, with nothing else that a caller does.
        let survives = state.isRunning && outcome != "!" && outcome != "X"
        #expect(machine.isRunning(Self.id) == survives, "\(state) \(frame)")
        return outcome
      })
  }

  /// 00 to 07 and an unknown flag.
  private static let allFlags = (0...7).map { FrameFlags(rawValue: $0) } + [FrameFlags(rawValue: 0x90)]

  @Test(arguments: [
    // flags:         00 01 02 03 04 05 06 07 90, empty, then with payload; RO or ND say that an empty one is no message
    (State.unused, "CCooccooC", "CCOOCCOOC"), (.messages, "!!!!!!!!!", "!!!!!!!!!"),
    (.oneMessage, "!!!!!!!!!", "!!!!!!!!!"), (.onlyTheEnd, "!!!!!!!!!", "!!!!!!!!!"),
    (.halfClosed, "!!!!!!!!!", "!!!!!!!!!"), (.finished, "!!!!!!!!!", "!!!!!!!!!"),
    (.cancelled, "!!!!!!!!!", "!!!!!!!!!"), (.skipped, "!!!!!!!!!", "!!!!!!!!!"),
  ]) func requests(state: State, empty: String, full: String) {
    #expect(outcomes(state, Self.allFlags.map { Self.request(Self.id, $0) }) == empty)
    #expect(outcomes(state, Self.allFlags.map { Self.request(Self.id, $0, payload: [1]) }) == full)
  }

  @Test(arguments: [
    // flags:            00 01 02 03 04 05 06 07 90, empty, then with payload
    (State.unused, "!!!!!!!!!", "!!!!!!!!!"),
    (.messages, "MEME-E-EM", "MLMLMLMLM"),
    (.oneMessage, "M!M!-!-!M", "MLMLMLMLM"),
    (.onlyTheEnd, "!E!E-E-E!", "!!!!!!!!!"),
    (.halfClosed, "!!!!-!-!!", "!!!!!!!!!"),
    (.finished, "---------", "---------"),
    (.cancelled, "---------", "---------"),
    (.skipped, "---------", "---------"),
  ]) func data(state: State, empty: String, full: String) {
    func frames(_ payload: [UInt8]) -> [Frame] {
      Self.allFlags.map { Frame(streamID: Self.id, type: .data, flags: $0, payload: payload) }
    }
    #expect(outcomes(state, frames([])) == empty)
    #expect(outcomes(state, frames([1])) == full)
  }

  /// A cancel ends a running call and is ignored elsewhere; a response, which only servers send, and frames of unknown
  /// types are ignored. Flags and payload do not matter.
  @Test(arguments: State.allCases) func others(state: State) {
    for payload in [[], [1]] as [[UInt8]] {
      func frames(_ type: FrameType) -> [Frame] {
        Self.allFlags.map { Frame(streamID: Self.id, type: type, flags: $0, payload: payload) }
      }
      #expect(outcomes(state, frames(.cancel)) == String(repeating: state.isRunning ? "X" : "-", count: 9))
      for type in [0, 2, 4, 0x40, 0x41, 0x43, 0xFF] {
        #expect(outcomes(state, frames(FrameType(rawValue: UInt8(type)))) == "---------")
      }
    }
  }

  /// A frame above the limit fails the call it belongs to, new or running, and no other.
  @Test(arguments: [
    (State.unused, "!!--"), (.messages, "!!--"), (.oneMessage, "!!--"), (.onlyTheEnd, "!!--"), (.halfClosed, "!!--"),
    (.finished, "!---"), (.cancelled, "!---"), (.skipped, "!---"),
  ]) func oversize(state: State, expected: String) {
    let types: [FrameType] = [.request, .data, .cancel, FrameType(rawValue: 0x50)]
    let outcomes = types.map { type in
      var machine = state.machine
      let header = FrameHeader(length: 5000, streamID: Self.id, type: type, flags: [])
      let event = machine.receiveOversize(header, limit: 4096)
      if case .reject(let error, let call) = event {
        let isUnopened = state == .unused && type == .data
        #expect(error.code == (isUnopened ? .invalidArgument : .resourceExhausted))
        #expect((call != nil) == state.isRunning)
        #expect(!machine.isRunning(Self.id))
      }
      return letter(event)
    }
    #expect(String(outcomes) == expected)
  }

  /// Id 0 and even ids are answered, whatever the frame, and leave the ids that may follow alone.
  @Test(arguments: [0, 2, 4, 0x8000_0000, 0xFFFF_FFFE] as [UInt32]) func evenIDs(id: UInt32) {
    for type in [FrameType.request, .response, .data, .cancel, FrameType(rawValue: 0x40)] {
      var machine = State.messages.machine
      for event in [
        machine.receive(Frame(streamID: StreamID(id), type: type)),
        machine.receiveOversize(FrameHeader(length: 5000, streamID: StreamID(id), type: type, flags: []), limit: 1),
      ] {
        guard case .reject(let error, nil) = event else {
          Issue.record("\(event)")
          continue
        }
        #expect(error.code == .invalidArgument && error.message.contains("stream id \(id)"))
      }
      #expect(machine.isRunning(Self.id))
      #expect(letter(machine.receive(Self.request(StreamID(7)))) == "C")
    }
  }

  /// The id that extensions use is odd: what comes on it is ignored, so that a newer client may greet this server.
  @Test func extensionFramesAreIgnored() {
    var machine = State.unused.machine
    let hello = Frame(streamID: StreamID(0xFFFF_FFFF), type: FrameType(rawValue: 0x40), payload: [1, 2, 3])
    #expect(letter(machine.receive(hello)) == "-")
    #expect(letter(machine.receive(Self.request(Self.id))) == "C")
  }

  @Test func oversizeDataDoesNotUseUpIDs() {
    var machine = State.unused.machine
    let header = FrameHeader(length: 5000, streamID: StreamID(0xFFFF_FFFF), type: .data, flags: [])
    #expect(letter(machine.receiveOversize(header, limit: 4096)) == "!")
    #expect(letter(machine.receive(Self.request(Self.id))) == "C")
  }

  @Test func idsRise() {
    var machine = State.unused.machine
    #expect(letter(machine.receive(Self.request(StreamID(9)))) == "C")
    #expect(letter(machine.receive(Self.request(StreamID(7)))) == "!")
    #expect(letter(machine.receive(Self.request(StreamID(9)))) == "!")
    #expect(letter(machine.receive(Self.request(StreamID(11)))) == "C")
  }

  @Test(arguments: [[0x0A], [0x0A, 5, 1], [0xFF], [0x0B], [0x08]] as [[UInt8]]) func garbageEnvelopes(bytes: [UInt8]) {
    var machine = State.unused.machine
    let event = machine.receive(Frame(streamID: Self.id, type: .request, payload: bytes))
    // The last is well-formed as far as it goes, but truncated like the others.
    guard case .reject(let error, nil) = event else {
      Issue.record("\(event)")
      return
    }
    #expect(error.code == .invalidArgument && error.message.hasPrefix("bad request envelope"))
    #expect(letter(machine.receive(Self.request(Self.id))) == "!")
  }

  @Test func metadataAboveTheLimit() {
    var machine = Machine(metadataLimit: 40)
    var envelope = RequestEnvelope(name: MethodName(service: "s", method: "m"))
    envelope.metadata = ["key": "12345"]
    var bytes: [UInt8] = []
    envelope.append(to: &bytes)
    guard case .open = machine.receive(Frame(streamID: StreamID(1), type: .request, payload: bytes)) else {
      Issue.record("metadata of the limit is refused")
      return
    }
    envelope.metadata = ["key": "123456"]
    bytes = []
    envelope.append(to: &bytes)
    guard case .reject(let error, nil) = machine.receive(Frame(streamID: StreamID(3), type: .request, payload: bytes))
    else {
      Issue.record("metadata above the limit is taken")
      return
    }
    #expect(error.code == .resourceExhausted)
  }

  @Test func drainingRefusesNewCallsOnly() {
    var machine = State.messages.machine
    machine.admission = .refused
    guard case .reject(let error, nil) = machine.receive(Self.request(StreamID(7))) else {
      Issue.record("a new call was taken")
      return
    }
    #expect(error.code == .unavailable)
    #expect(letter(machine.receive(Frame(streamID: Self.id, type: .data, payload: [1]))) == "M")
  }

  /// A client that was told which calls are the last makes the others elsewhere, and wants no answer.
  @Test func newCallsArePassedOver() {
    var machine = State.messages.machine
    machine.admission = .passedOver
    #expect(letter(machine.receive(Self.request(StreamID(7)))) == "-")
    let header = FrameHeader(length: 5000, streamID: StreamID(9), type: .request, flags: [])
    #expect(letter(machine.receiveOversize(header, limit: 4096)) == "-")
    #expect(letter(machine.receive(Frame(streamID: Self.id, type: .data, payload: [1]))) == "M")
  }

  /// A request in fragments uses its id with the first of them: later calls may be complete before it, and an id is used
  /// once all the same.
  @Test func aRequestInFragments() {
    var machine = Machine(metadataLimit: 1000)
    for _ in 0..<2 {
      let isAwaited = machine.announce(Self.id)
      #expect(isAwaited)
    }
    #expect(letter(machine.receive(Self.request(StreamID(7)))) == "C")
    #expect(letter(machine.receive(Self.request(Self.id))) == "C")
    #expect(letter(machine.receive(Self.request(Self.id))) == "!")
    let isReuse = !machine.announce(StreamID(3))
    #expect(isReuse)
    #expect(letter(machine.receive(Self.request(StreamID(3)))) == "!", "the id was used before")
    _ = machine.announce(StreamID(9))
    machine.admission = .passedOver
    #expect(machine.highestID == StreamID(9))
    #expect(letter(machine.receive(Self.request(StreamID(9)))) == "C", "it was announced in time")
    let isTooLate = !machine.announce(StreamID(11))
    #expect(isTooLate)
    #expect(letter(machine.receive(Self.request(StreamID(11)))) == "-")
  }

  @Test func anAnnouncedCallMayBeGivenUp() {
    var machine = Machine(metadataLimit: 1000)
    _ = machine.announce(Self.id)
    #expect(letter(machine.receive(Frame(streamID: Self.id, type: .cancel))) == "-")
    #expect(letter(machine.receive(Self.request(Self.id))) == "!")
  }

  @Test func aRequestSaysWhetherItWantsTheExtensions() {
    for (flags, expected) in [(FrameFlags.extended, true), ([], false), ([.extended, .remoteOpen], true)] {
      var machine = State.unused.machine
      guard case .open(let opening) = machine.receive(Self.request(Self.id, flags)) else {
        Issue.record("\(flags) does not open")
        continue
      }
      #expect(opening.isExtended == expected)
    }
  }

  @Test func closingHandsOutTheCallsInOrder() {
    var machine = Machine(metadataLimit: 0)
    for id in stride(from: 1 as UInt32, through: 19, by: 2) {
      let opening = Machine.Opening(id: StreamID(id), envelope: RequestEnvelope(), message: nil, ended: true)
      _ = machine.receive(Self.request(StreamID(id)))
      machine.accept(opening, .bidirectional, "\(id)")
    }
    _ = machine.finish(StreamID(5))
    #expect(machine.callCount == 9)
    #expect(machine.close() == ["1", "3", "7", "9", "11", "13", "15", "17", "19"])
    #expect(machine.callCount == 0)
  }

  @Test func acceptingTwiceIsOurMistake() async {
    await #expect(processExitsWith: .failure) {
      var machine = ServerConnectionMachine<String>(metadataLimit: 0)
      let opening = ServerConnectionMachine<String>.Opening(
        id: StreamID(1), envelope: RequestEnvelope(), message: nil, ended: true)
      machine.accept(opening, .unary, "a")
      machine.accept(opening, .unary, "b")
    }
  }
}
