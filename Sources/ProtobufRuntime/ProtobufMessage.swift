/// A protobuf message as a plain Swift value.
///
/// Conforming types are generated from `.proto` files; libprotobuf-c does the packing and unpacking underneath.
/// Decoding is strict where libprotobuf-c is lenient: see ``DecodeLimits`` and ``ProtobufError`` for what is refused.
/// Fields that the type does not know are skipped and are not encoded again.
public protocol ProtobufMessage: Sendable, Equatable {
  /// A message whose fields all have their default: zero, empty or absent.
  init()

  /// The full name of the message type, for instance `chancery.v1.HealthCheckRequest`.
  static var protobufName: String { get }

  /// Decodes a message from its wire format.
  ///
  /// - Parameters:
  ///   - bytes: one whole message, without a length prefix.
  ///   - limits: bounds on what the bytes may ask for.
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  init(protobuf bytes: Span<UInt8>, limits: DecodeLimits) throws(ProtobufError)

  /// The message in wire format: known fields in the order of their numbers, proto3 defaults left out.
  ///
  /// Map entries are written in the order of their keys, so equal messages have equal bytes. A floating-point field
  /// that holds -0.0 is written as if it held 0.0, because libprotobuf-c takes both for the default.
  ///
  /// - Throws: ``ProtobufError`` when a string holds a NUL (libprotobuf-c would silently cut it there), when messages
  ///   are nested deeper than ``DecodeLimits/deepestNesting``, or when the result would exceed 2 GiB.
  func protobufBytes() throws(ProtobufError) -> [UInt8]
}

extension ProtobufMessage {
  /// Decodes a message from its wire format within the default limits.
  ///
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  public init(protobuf bytes: Span<UInt8>) throws(ProtobufError) {
    try self.init(protobuf: bytes, limits: .default)
  }

  /// Decodes a message from an array that holds its wire format.
  ///
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  public init(protobuf bytes: [UInt8], limits: DecodeLimits = .default) throws(ProtobufError) {
    try self.init(protobuf: bytes.span, limits: limits)
  }

  /// Decodes a message from a slice that holds its wire format.
  ///
  /// - Throws: ``ProtobufError`` naming the field and the reason.
  public init(protobuf bytes: ArraySlice<UInt8>, limits: DecodeLimits = .default) throws(ProtobufError) {
    try self.init(protobuf: bytes.span, limits: limits)
  }
}
