import Testing

@testable import RPC

/// What is sent of an error can be read by every peer and fits every frame, whatever a handler put in; what needs no
/// change is not changed.
@Suite struct RPCErrorTests {
  @Test func theUsualErrorTravelsUnchanged() {
    let error = RPCError(
      .notFound, "no job '🖋'", details: [ErrorDetail(typeURL: "type.googleapis.com/a.B", value: [0, 1])])
    #expect(error.fittedForWire() == error)
    #expect("\(error)" == "NOT_FOUND: no job '🖋'")
  }

  @Test func longMessagesAreCut() {
    for length in [4096, 4097, 10_000, 5_000_000] {
      let fitted = RPCError(.internal, String(repeating: "x", count: length)).fittedForWire().message
      #expect(fitted.utf8.count <= RPCError.maximumMessageBytes)
      #expect((fitted.utf8.count == length) == (length <= 4096))
      if length > 4096 { #expect(fitted.hasSuffix("x… (cut from \(length) bytes)")) }
    }
  }

  /// Scalars of four bytes: the cut is between two of them.
  @Test func cutsAreBetweenCharacters() {
    for lead in 0..<4 {
      let text = String(repeating: "a", count: lead) + String(repeating: "🖋", count: 2000)
      let fitted = RPCError(.internal, text).fittedForWire().message
      #expect(fitted.utf8.count <= RPCError.maximumMessageBytes)
      #expect(!fitted.contains("\u{FFFD}"))
    }
  }

  @Test func nulsAreReplaced() {
    let error = RPCError(.internal, "a\0b\0", details: [ErrorDetail(typeURL: "t\0", value: [0])]).fittedForWire()
    #expect(error.message == "a\u{FFFD}b\u{FFFD}")
    #expect(error.details == [ErrorDetail(typeURL: "t\u{FFFD}", value: [0])])
    let long = RPCError(.internal, String(repeating: "\0", count: 100_000)).fittedForWire().message
    #expect(!long.utf8.contains(0) && long.utf8.count <= 3 * RPCError.maximumMessageBytes)
  }

  @Test func detailsAreBounded() {
    let small = ErrorDetail(typeURL: "t", value: [1])
    let many = RPCError(.aborted, "m", details: Array(repeating: small, count: 100)).fittedForWire()
    #expect(many.details == Array(repeating: small, count: 32))
    let huge = ErrorDetail(typeURL: "t", value: [UInt8](repeating: 0, count: 65_536))
    #expect(RPCError(.aborted, "m", details: [huge, small]).fittedForWire().details == [small])
  }

  @Test func anErrorNeverLooksLikeSuccess() throws {
    var error = RPCError(.aborted, "m")
    error.code = .ok
    #expect(error.fittedForWire().code == .internal)
    var bytes: [UInt8] = []
    ResponseEnvelope(error: error).append(to: &bytes)
    #expect(try ResponseEnvelope(parsing: bytes[...], metadataLimit: 16_384).error?.code == .internal)
  }

  @Test func okIsNoError() async {
    await #expect(processExitsWith: .failure) { _ = RPCError(.ok, "fine") }
  }

  @Test func codesHaveTheNumbersAndNamesOfGRPC() {
    let names = [
      "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
      "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
      "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]
    let codes: [StatusCode] = [
      .ok, .cancelled, .unknown, .invalidArgument, .deadlineExceeded, .notFound, .alreadyExists, .permissionDenied,
      .resourceExhausted, .failedPrecondition, .aborted, .outOfRange, .unimplemented, .internal, .unavailable,
      .dataLoss,
      .unauthenticated,
    ]
    #expect(codes.map(\.rawValue) == (0...16).map { Int32($0) })
    #expect(codes.map(\.description) == names)
    #expect("\(StatusCode(rawValue: 42))" == "CODE_42" && "\(StatusCode(rawValue: -1))" == "CODE_-1")
    let retryable = codes.dropFirst().filter { RPCError($0, "").isRetryable }
    #expect(retryable == [.resourceExhausted, .aborted, .unavailable])
  }
}
