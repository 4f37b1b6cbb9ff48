@testable package import ProtobufRuntime

/// A message that is its own bytes. It cannot be decoded when it begins with `unreadable`, nor encoded when it begins with
/// `unwritable`.
package struct TestMessage: ProtobufMessage, Hashable, ExpressibleByStringLiteral {
  package static let protobufName = "test.v1.Message"
  package static let unreadable: UInt8 = 0xFF
  package static let unwritable: UInt8 = 0xFE

  package var payload: [UInt8]

  package init() { payload = [] }
  package init(_ payload: [UInt8]) { self.payload = payload }
  package init(_ text: String) { payload = Array(text.utf8) }
  package init(stringLiteral text: String) { self.init(text) }

  package init(protobuf bytes: ArraySlice<UInt8>) throws(ProtobufError) {
    guard bytes.first != Self.unreadable else { throw ProtobufError(.malformed, "a test says so") }
    payload = [UInt8](bytes)
  }

  package init(protobuf bytes: Span<UInt8>, limits: DecodeLimits) throws(ProtobufError) {
    let copy = bytes.withUnsafeBufferPointer { [UInt8]($0) }
    try self.init(protobuf: copy[...])
  }

  package func protobufBytes() throws(ProtobufError) -> [UInt8] {
    guard payload.first != Self.unwritable else { throw ProtobufError(.malformed, "a test says so") }
    return payload
  }

  /// The payload as text.
  package var text: String { String(decoding: payload, as: UTF8.self) }
}
