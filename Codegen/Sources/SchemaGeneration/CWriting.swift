/// Statements that set members of the C struct `message` points to.
enum CWriting {
  /// Sets the members of a field that is a property.
  static func emit(_ field: SchemaField, to lines: inout Lines) {
    let property = "self.\(field.property)"
    switch field.shape {
    case .member: preconditionFailure("a member of a oneof is no property")
    case .plain(.string):
      // protoc-c's init function has set the empty string.
      lines.block("if !\(property).isEmpty") { lines in
        lines.add(assignment(field, from: property))
      }
    case .plain: lines.add(assignment(field, from: property))
    case .optional(_, let caseMember):
      lines.block("if let value = \(property)") { lines in
        if let caseMember { lines.add("message.pointee.\(caseMember) = .init(rawValue: \(field.number))") }
        lines.add(assignment(field, from: "value"))
      }
    case .repeated, .map:
      lines.block("if !\(property).isEmpty") { lines in
        lines.add("message.pointee.n_\(field.cMember) = \(property).count")
        lines.add(assignment(field, from: property))
      }
    }
  }

  /// Sets the member of a field.
  static func assignment(_ field: SchemaField, from value: String = "value") -> String {
    let target = "message.pointee.\(Keywords.escaped(field.cMember)) = "
    let name = "\"\(field.protoName)\""
    switch field.shape {
    case .plain(let type), .member(let type), .optional(let type, _): return target + single(type, value, name)
    case .repeated(let type): return target + repeated(type, value, name)
    case .map(let key, let element, let entryType, let entryPrefix):
      return target + entries(value, key, element, entryType, entryPrefix, name)
    }
  }

  private static func single(_ type: SchemaType, _ value: String, _ name: String) -> String {
    switch type {
    case .number: value
    case .bool: "\(value) ? 1 : 0"
    case .string: "try writer.string(\(value), \(name))"
    case .bytes: "try writer.bytes(\(value))"
    case .enumeration(_, let cType, _): "\(cType)(rawValue: .init(truncatingIfNeeded: \(value).rawValue))"
    case .message(_, let cType, _): "try writer.message(\(value), as: \(cType).self, \(name))"
    }
  }

  private static func repeated(_ type: SchemaType, _ values: String, _ name: String) -> String {
    switch type {
    case .number: "try writer.scalars(\(values))"
    case .bool: "try writer.booleans(\(values))"
    case .string: "try writer.strings(\(values), \(name))"
    case .bytes: "try writer.bytes(\(values))"
    case .enumeration(_, let cType, _): "try writer.enums(\(values), as: \(cType).self)"
    case .message(_, let cType, _): "try writer.messages(\(values), as: \(cType).self, \(name))"
    }
  }

  private static func entries(
    _ map: String, _ key: SchemaType, _ element: SchemaType, _ entryType: String, _ entryPrefix: String,
    _ name: String
  ) -> String {
    // Bool has no order of its own.
    let order = if case .bool = key { "{ !$0 && $1 }" } else { "{ $0 < $1 }" }
    return """
      try writer.entries(\(map), as: \(entryType).self, \(name), sortedBy: \(order)) {
        (writer, entry, key, value) throws(ProtobufError) in
        \(entryPrefix)__init(entry)
        entry.pointee.key = \(single(key, "key", "\"key\""))
        entry.pointee.value = \(single(element, "value", "\"value\""))
      }
      """
  }
}
