import Glibc

/// What is fuzzed: one part that reads what comes from outside. Each checks more than that nothing traps.
enum FuzzTarget: String, CaseIterable {
  /// Bytes into frames, however they are cut.
  case frames
  /// Payloads of frames into envelopes and back.
  case envelopes
  /// A whole server's end of a connection.
  case server
  /// A whole client's end, with calls under way.
  case client
  /// Messages of the schema, by their types and by their descriptors.
  case messages
  /// Files of keys.
  case keys

  func run(_ input: [UInt8]) {
    switch self {
    case .frames: fuzzFrames(input)
    case .envelopes: fuzzEnvelopes(input)
    case .server: fuzzServer(input)
    case .client: fuzzClient(input)
    case .messages: fuzzMessages(input)
    case .keys: fuzzKeys(input)
    }
  }

  /// The one that `FUZZ_TARGET` names.
  static let chosen: FuzzTarget = {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
      let names = allCases.map(\.rawValue).joined(separator: ", ")
      fatalError("FUZZ_TARGET '\(name)' is not one of \(names)")
    }
    return target
  }()
}

/// What libFuzzer calls (https://llvm.org/docs/LibFuzzer.html).
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzTarget.chosen.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}

/// What must hold. Unlike a precondition it says what did not in an optimised build as well.
func require(_ condition: Bool, _ message: @autoclosure () -> String = "see the line") {
  if !condition { fatalError(message()) }
}
