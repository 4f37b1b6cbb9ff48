// How the schema's types and fields are spelled in Swift.

extension SchemaType {
  /// The type of a value.
  var swift: String {
    switch self {
    case .number(let type): type
    case .bool: "Bool"
    case .string: "String"
    case .bytes: "[UInt8]"
    case .enumeration(let type, _, _): type
    case .message(let type, _, _): type
    }
  }

  /// What a plain field holds when it is absent.
  var defaultValue: String {
    switch self {
    case .number: "0"
    case .bool: "false"
    case .string: "\"\""
    case .bytes: "[]"
    case .enumeration(_, _, let defaultCase): defaultCase
    case .message(let type, _, _): "\(type)()"
    }
  }
}

extension SchemaField {
  /// The type of the property, or of the associated value of a oneof's case.
  var swiftType: String {
    switch shape {
    case .plain(let type), .member(let type): type.swift
    case .optional(let type, _): "\(type.swift)?"
    case .repeated(let type): "[\(type.swift)]"
    case .map(let key, let value, _, _): "[\(key.swift): \(value.swift)]"
    }
  }

  /// What the property holds when the field is absent.
  var defaultValue: String {
    switch shape {
    case .plain(let type), .member(let type): type.defaultValue
    case .optional: "nil"
    case .repeated: "[]"
    case .map: "[:]"
    }
  }

  /// Documentation for a field without a comment.
  var fallbackComment: String { "Field `\(protoName)`, number \(number)." }
}

extension SchemaMessage.Property {
  var name: String {
    switch self {
    case .field(let field): field.property
    case .oneof(let oneof): oneof.property
    }
  }

  var swiftType: String {
    switch self {
    case .field(let field): field.swiftType
    case .oneof(let oneof): "\(oneof.swiftType)?"
    }
  }

  var defaultValue: String {
    switch self {
    case .field(let field): field.defaultValue
    case .oneof: "nil"
    }
  }
}
