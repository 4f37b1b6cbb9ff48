/// Writes the Swift struct of a message, with the enums of its oneofs.
struct MessageEmitter {
  let message: SchemaMessage

  func emit(to lines: inout Lines) {
    lines.space()
    lines.block("extension \(message.scope)") { lines in
      lines.doc(message.comment, or: "Message `\(message.fullName)`.")
      lines.block("public struct \(message.name): ProtobufMessage") { lines in
        for property in message.properties { emit(property, to: &lines) }
        lines.space()
        lines.add("/// The full name of the message type.")
        lines.add("public static let protobufName = \"\(message.fullName)\"")
        emitInitializers(to: &lines)
        emitCoding(to: &lines)
        for case .oneof(let oneof) in message.properties { emit(oneof, to: &lines) }
      }
    }
  }

  private func emit(_ property: SchemaMessage.Property, to lines: inout Lines) {
    switch property {
    case .field(let field):
      lines.doc(field.comment, or: field.fallbackComment)
      var wrapper = ""
      if case .optional = field.shape, field.isRecursive { wrapper = "@Indirect " }
      lines.add("\(wrapper)public var \(field.property): \(field.swiftType) = \(field.defaultValue)")
    case .oneof(let oneof):
      lines.doc(
        oneof.comment, or: "At most one of \(oneof.members.map { "`\($0.protoName)`" }.joined(separator: ", ")).")
      lines.add("public var \(oneof.property): \(oneof.typeName)?")
    }
  }

  private func emitInitializers(to lines: inout Lines) {
    lines.space()
    lines.add("/// A message whose fields all have their default.")
    lines.add("public init() {}")
    guard !message.properties.isEmpty else { return }
    let parameters = message.properties.map { "\($0.name): \($0.swiftType) = \($0.defaultValue)" }
    lines.space()
    lines.add("/// A message with the given fields; the others have their default.")
    lines.block("public init(\(parameters.joined(separator: ", ")))") { lines in
      for property in message.properties { lines.add("self.\(property.name) = \(property.name)") }
    }
  }

  private func emitCoding(to lines: inout Lines) {
    lines.space()
    lines.add("/// Decodes a message from its wire format.")
    lines.add("///", "/// - Throws: ``ProtobufError`` naming the field and the reason.")
    lines.block("public init(protobuf bytes: Span<UInt8>, limits: DecodeLimits) throws(ProtobufError)") { lines in
      lines.add("self = try Self.decode(bytes, limits: limits)")
    }
    lines.space()
    lines.add("/// The message in wire format.")
    lines.add("///", "/// - Throws: ``ProtobufError`` naming the field and the reason.")
    lines.block("public func protobufBytes() throws(ProtobufError) -> [UInt8]") { lines in
      lines.add("try encode()")
    }
  }

  private func emit(_ oneof: SchemaOneof, to lines: inout Lines) {
    lines.space()
    lines.add("/// The fields of which ``\(oneof.property)`` holds one.")
    lines.block("public enum \(oneof.typeName): Sendable, Equatable") { lines in
      for member in oneof.members {
        lines.doc(member.comment, or: member.fallbackComment)
        lines.add("\(member.isRecursive ? "indirect " : "")case \(member.property)(\(member.swiftType))")
      }
    }
  }
}
