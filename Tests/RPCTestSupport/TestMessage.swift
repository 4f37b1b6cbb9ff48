@testable public import ProtobufRuntime

/// A message that is its own bytes. It cannot be decoded when it begins with `unreadable`, nor encoded when it begins with
/// `unwritable`.
public struct TestMessage: ProtobufMessage, Hashable, ExpressibleByStringLiteral {
  public static let protobufName = "test.v1.Message"
  public static let unreadable: UInt8 = 0xFF
  public static let unwritable: UInt8 = 0xFE

  public var payload: [UInt8]

  public init() { payload = [] }
  public init(_ payload: [UInt8]) { self.payload = payload }
  public init(_ text: String) { payload = Array(text.utf8) }
  public init(stringLiteral text: String) { self.init(text) }

  public init(protobuf bytes: ArraySlice<UInt8>) throws(ProtobufError) {
    guard bytes.first != Self.unreadable else { throw ProtobufError(.malformed, "a test says so") }
    payload = [UInt8](bytes)
  }

  public init(protobuf bytes: Span<UInt8>, limits: DecodeLimits) throws(ProtobufError) {
    let copy = bytes.withUnsafeBufferPointer { [UInt8]($0) }
    try self.init(protobuf: copy[...])
  }

  public func protobufBytes() throws(ProtobufError) -> [UInt8] {
    guard payload.first != Self.unwritable else { throw ProtobufError(.malformed, "a test says so") }
    return payload
  }

  /// The payload as text.
  public var text: String { String(decoding: payload, as: UTF8.self) }
}
