/// Writes the view of a message: the same fields, read from the C struct where libprotobuf-c unpacked it.
struct ViewEmitter {
  let message: SchemaMessage

  func emit(to lines: inout Lines) {
    lines.space()
    lines.block("extension \(message.swiftType)") { lines in
      lines.add("/// A decoded ``\(message.name)`` whose bytes stay where they were unpacked.")
      lines.block("public struct View: ProtobufView") { lines in
        lines.add("/// The message as a Swift value.")
        lines.add("public typealias Message = \(message.swiftType)")
        lines.space()
        lines.add("private let storage: ArenaPointer<\(message.cType)>")
        lines.space()
        emitInitializers(to: &lines)
        lines.space()
        lines.add("/// The message as a Swift value; everything is copied.")
        lines.block("public func copied() -> Message") { $0.add("storage.copied()") }
        for property in message.properties {
          lines.space()
          switch property {
          case .field(let field): emit(field, to: &lines)
          case .oneof(let oneof): emit(oneof, to: &lines)
          }
        }
      }
    }
  }

  private func emitInitializers(to lines: inout Lines) {
    lines.add("/// Decodes a message from its wire format.")
    lines.add("///", "/// - Throws: ``ProtobufError`` naming the field and the reason.")
    let head = "public init(protobuf bytes: Span<UInt8>, limits: DecodeLimits, wiping: Bool) throws(ProtobufError)"
    lines.block(head) { lines in
      lines.add(
        "storage = try Message.decodeView(bytes, limits: limits, wiping: wiping, as: \(message.cType).self)")
    }
    lines.space()
    lines.block("init(_ storage: ArenaPointer<\(message.cType)>)") { $0.add("self.storage = storage") }
  }

  // MARK: Fields

  private func emit(_ field: SchemaField, to lines: inout Lines) {
    lines.doc(field.comment, or: field.fallbackComment)
    if let span = Self.span(of: field) {
      let function = "func with\(field.capitalizedName)<R, E: Error>(_ body: (Span<\(span.element)>) throws(E) -> R)"
      lines.block("public \(function) throws(E) -> R") { lines in
        lines.closure("try storage.read", "(message) throws(E)") { lines in
          lines.add("try storage.withSpan(of: \(span.arguments), body)")
        }
      }
      return
    }
    lines.block("public var \(field.property): \(Self.swiftType(of: field))") { lines in
      lines.add("storage.read { message in \(Self.valueIfSet(of: field)) }")
    }
  }

  private func emit(_ oneof: SchemaOneof, to lines: inout Lines) {
    lines.add("/// The fields of which ``\(oneof.property)`` holds one.")
    lines.block("public enum \(oneof.typeName): Sendable") { lines in
      for member in oneof.members {
        lines.doc(member.comment, or: member.fallbackComment)
        lines.add("case \(member.property)(\(Self.swiftType(of: member)))")
      }
    }
    lines.space()
    lines.doc(oneof.comment, or: "At most one of \(oneof.members.map { "`\($0.protoName)`" }.joined(separator: ", ")).")
    lines.block("public var \(oneof.property): \(oneof.typeName)?") { lines in
      lines.closure("storage.read", "message") { lines in
        lines.block("switch message.pointee.\(oneof.cCaseMember).rawValue") { lines in
          for member in oneof.members {
            let value = Self.value(of: member)
            let result =
              if case .member(.message) = member.shape { "\(value).map { .\(member.property)($0) }" } else {
                ".\(member.property)(\(value))"
              }
            lines.add("case \(member.number): \(result)")
          }
          lines.add("default: nil")
        }
      }
    }
  }

  // MARK: Spelling

  /// What a field lends as a span: plain bytes and numbers that repeat.
  private static func span(of field: SchemaField) -> (element: String, arguments: String)? {
    let member = cMember(field)
    return switch field.shape {
    case .plain(.bytes): ("UInt8", member)
    case .repeated(.number(let type)): (type, "\(member), count: message.pointee.n_\(field.cMember)")
    default: nil
    }
  }

  private static func swiftType(of field: SchemaField) -> String {
    switch field.shape {
    case .plain(let type), .member(let type): swiftType(of: type)
    case .optional(let type, _): "\(swiftType(of: type))?"
    case .repeated(.bytes): "ArenaList<ArenaBytes>"
    case .repeated(.message(let type, _, hasView: true)): "ArenaList<\(type).View>"
    case .repeated, .map: field.swiftType
    }
  }

  private static func swiftType(of type: SchemaType) -> String {
    switch type {
    case .bytes: "ArenaBytes"
    case .message(let message, _, hasView: true): "\(message).View"
    default: type.swift
    }
  }

  /// An expression for what the property returns.
  private static func valueIfSet(of field: SchemaField) -> String {
    guard case .optional(_, let caseMember?) = field.shape else { return value(of: field) }
    return "message.pointee.\(caseMember).rawValue == \(field.number) ? \(value(of: field)) : nil"
  }

  /// The same for a field that is set.
  private static func value(of field: SchemaField) -> String {
    let member = cMember(field)
    let count = "count: message.pointee.n_\(field.cMember)"
    switch field.shape {
    case .plain(.bytes), .optional(.bytes, _), .member(.bytes): return "storage.bytes(\(member))"
    case .repeated(.bytes): return "storage.bytes(\(member), \(count))"
    case .optional(.message(let type, _, hasView: true), _), .member(.message(let type, _, hasView: true)):
      return "\(member).map { \(type).View(storage.nested($0)) }"
    case .repeated(.message(let type, _, hasView: true)):
      return "storage.nested(\(member), \(count)) { \(type).View($0) }"
    default: return CReading.property(field)
    }
  }

  private static func cMember(_ field: SchemaField) -> String {
    "message.pointee.\(Keywords.escaped(field.cMember))"
  }
}
