/// A message that generated code converts to and from the C struct that protoc-c made for it.
///
/// Pointers are untyped so that the C schema stays an internal import of the module that holds the generated code.
package protocol CMessageConvertible: ProtobufMessage {
  /// The protoc-c descriptor of the C struct.
  static var descriptor: MessageDescriptor { get }

  /// Copies an unpacked C struct, and all it points to, into Swift values.
  ///
  /// - Parameter message: points to the C struct of this type, unpacked from validated bytes.
  init(copying message: UnsafeRawPointer)

  /// Fills a C struct that protoc-c's init function has prepared.
  ///
  /// - Parameters:
  ///   - message: points to the C struct of this type.
  ///   - writer: makes what the struct points to.
  func fill(_ message: UnsafeMutableRawPointer, _ writer: MessageWriter) throws(ProtobufError)
}
