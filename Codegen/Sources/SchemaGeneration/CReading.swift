/// Expressions that read a member of the C struct `message` points to.
enum CReading {
  /// The value of a field's property; for an optional field with a case member, once that is known to be set.
  static func property(_ field: SchemaField, from message: String = "message") -> String {
    let member = "\(message).pointee.\(Keywords.escaped(field.cMember))"
    let count = "count: \(message).pointee.n_\(field.cMember)"
    switch field.shape {
    case .plain(let type), .member(let type), .optional(let type, _): return value(type, member)
    case .repeated(let type):
      return switch type {
      case .number: "MessageReader.scalars(\(member), \(count))"
      case .bool: "MessageReader.booleans(\(member), \(count))"
      case .string: "MessageReader.strings(\(member), \(count))"
      case .bytes: "MessageReader.bytes(\(member), \(count))"
      case .enumeration: "MessageReader.enums(\(member), \(count))"
      case .message: "MessageReader.messages(\(member), \(count))"
      }
    case .map(let key, let value, _, _):
      let keyExpression = self.value(key, "$0.pointee.key")
      var valueExpression = self.value(value, "$0.pointee.value")
      if case .message = value { valueExpression += " ?? \(value.defaultValue)" }
      return "MessageReader.dictionary(\(member), \(count)) { (\(keyExpression), \(valueExpression)) }"
    }
  }

  /// The oneof's case, optional for a message.
  static func member(_ field: SchemaField) -> String {
    let value = property(field)
    if case .member(.message) = field.shape { return "\(value).map { .\(field.property)($0) }" }
    return ".\(field.property)(\(value))"
  }

  /// One value; optional for a message.
  static func value(_ type: SchemaType, _ member: String) -> String {
    switch type {
    case .number: member
    case .bool: "\(member) != 0"
    case .string: "MessageReader.string(\(member))"
    case .bytes: "MessageReader.bytes(\(member))"
    case .enumeration(let swiftType, _, _):
      "\(swiftType)(rawValue: Int32(truncatingIfNeeded: \(member).rawValue))"
    case .message: "MessageReader.message(\(member))"
    }
  }
}
