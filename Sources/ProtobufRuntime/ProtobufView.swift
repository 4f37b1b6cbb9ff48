/// A decoded message whose parts stay where libprotobuf-c unpacked them, for bytes that are hot or secret.
///
/// Fields are converted when they are read; bytes and packed numbers are lent as a `Span` and never copied. A view
/// keeps the memory of the whole message alive, and so does every nested view, ``ArenaBytes`` and ``ArenaList`` taken
/// from it. Views are generated for messages whose comment in the `.proto` file has a line `@view`.
public protocol ProtobufView: Sendable {
  /// The message as a Swift value.
  associatedtype Message: ProtobufMessage

  /// Decodes a message from its wire format.
  ///
  /// - Parameters:
  ///   - bytes: one whole message, without a length prefix; they need not outlive the call.
  ///   - limits: bounds on what the bytes may ask for.
  ///   - wiping: whether the memory is overwritten before it is freed. For secrets.
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  init(protobuf bytes: Span<UInt8>, limits: DecodeLimits, wiping: Bool) throws(ProtobufError)

  /// The message as a Swift value; everything is copied.
  func copied() -> Message
}

extension ProtobufView {
  /// Decodes a message from its wire format, within the default limits if none are given.
  ///
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  public init(protobuf bytes: Span<UInt8>, limits: DecodeLimits = .default) throws(ProtobufError) {
    try self.init(protobuf: bytes, limits: limits, wiping: false)
  }

  /// Decodes a message from an array that holds its wire format.
  ///
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  public init(
    protobuf bytes: [UInt8], limits: DecodeLimits = .default, wiping: Bool = false
  ) throws(ProtobufError) {
    try self.init(protobuf: bytes.span, limits: limits, wiping: wiping)
  }

  /// Decodes a message from a slice that holds its wire format.
  ///
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  public init(
    protobuf bytes: ArraySlice<UInt8>, limits: DecodeLimits = .default, wiping: Bool = false
  ) throws(ProtobufError) {
    try self.init(protobuf: bytes.span, limits: limits, wiping: wiping)
  }
}
