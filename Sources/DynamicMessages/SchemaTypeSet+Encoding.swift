import FoundationEssentials

// Source: the JSON mapping of protobuf, https://protobuf.dev/programming-guides/json/.
extension SchemaTypeSet {
  /// A message in wire format from JSON. Fields may be named as in JSON or as in the schema; null is as if not there.
  ///
  /// Throws naming the field that the schema does not know, or whose value it does not take.
  public func bytes(_ json: JSONValue, as name: String) throws(DynamicMessageError) -> [UInt8] {
    guard let type = message(name) else { throw DynamicMessageError("the schema does not hold '\(name)'") }
    return try bytes(json, as: type)
  }

  private func bytes(_ json: JSONValue, as type: MessageType) throws(DynamicMessageError) -> [UInt8] {
    guard case .object(let members) = json else {
      throw DynamicMessageError("expected an object for \(type.name), not \(json.kindName)")
    }
    var values: [UInt32: JSONValue] = [:]
    var rest = members.filter { $0.value != .null }
    var chosen: [Int: String] = [:]
    for field in type.fields {
      let names = field.name == field.jsonName ? [field.name] : [field.jsonName, field.name]
      let given = names.compactMap { rest.removeValue(forKey: $0) }
      guard let value = given.first else { continue }
      guard given.count == 1 else { throw DynamicMessageError("it is given as both \(names[0]) and \(names[1])") }
      if let oneof = field.oneof {
        if let other = chosen.updateValue(field.name, forKey: oneof) {
          throw DynamicMessageError("only one of \(other) and \(field.name) can be set")
        }
      }
      values[field.number] = value
    }
    if let name = rest.keys.min() {
      let known = type.fields.map(\.jsonName).joined(separator: ", ")
      throw DynamicMessageError("\(type.name) has no field '\(name)'; it has \(known.isEmpty ? "none" : known)")
    }
    var bytes: [UInt8] = []
    for field in type.fields {
      guard let value = values[field.number] else { continue }
      do throws(DynamicMessageError) {
        try append(value, of: field, to: &bytes)
      } catch {
        throw error.inside(field.name)
      }
    }
    return bytes
  }

  private func append(_ value: JSONValue, of field: FieldType, to bytes: inout [UInt8]) throws(DynamicMessageError) {
    if let entry = mapEntry(of: field) { return try appendMap(value, entry, field, to: &bytes) }
    guard field.isRepeated else { return try appendElement(value, of: field, to: &bytes) }
    guard case .array(let elements) = value else {
      throw DynamicMessageError("expected an array, not \(value.kindName)")
    }
    var block: [UInt8] = []
    for (index, element) in elements.enumerated() {
      do throws(DynamicMessageError) {
        if field.isPacked {
          try appendScalar(element, of: field, to: &block)
        } else {
          try appendElement(element, of: field, to: &bytes)
        }
      } catch {
        throw error.inside("[\(index)]")
      }
    }
    if field.isPacked, !elements.isEmpty { bytes.append(field: field.number, block: block) }
  }

  private func appendMap(
    _ value: JSONValue, _ entry: MessageType, _ field: FieldType, to bytes: inout [UInt8]
  ) throws(DynamicMessageError) {
    guard case .object(let members) = value, let key = entry.field(number: 1), let content = entry.field(number: 2)
    else { throw DynamicMessageError("expected an object, not \(value.kindName)") }
    for (name, member) in members.sorted(by: { $0.key < $1.key }) {
      do throws(DynamicMessageError) {
        var pair: [UInt8] = []
        let keyValue: JSONValue = key.kind == .bool ? .bool(name == "true") : .string(name)
        guard key.kind != .bool || name == "true" || name == "false" else {
          throw DynamicMessageError("expected true or false as key")
        }
        try appendElement(keyValue, of: key, to: &pair)
        try appendElement(member, of: content, to: &pair)
        bytes.append(field: field.number, block: pair)
      } catch {
        throw error.inside("[\(name)]")
      }
    }
  }

  /// A value with its tag.
  private func appendElement(
    _ value: JSONValue, of field: FieldType, to bytes: inout [UInt8]
  ) throws(DynamicMessageError) {
    switch field.kind {
    case .message:
      guard let type = message(field.typeName) else {
        throw DynamicMessageError("the schema does not hold '\(field.typeName)'")
      }
      bytes.append(field: field.number, block: try self.bytes(value, as: type))
    case .string:
      guard case .string(let text) = value else {
        throw DynamicMessageError("expected a string, not \(value.kindName)")
      }
      bytes.append(field: field.number, block: Array(text.utf8))
    case .bytes:
      guard case .string(let text) = value, let content = Self.base64(text) else {
        throw DynamicMessageError("expected bytes in base64, not \(value.kindName)")
      }
      bytes.append(field: field.number, block: content)
    case .double, .fixed64, .sfixed64:
      bytes.append(field: field.number, wireType: 1)
      try appendScalar(value, of: field, to: &bytes)
    case .float, .fixed32, .sfixed32:
      bytes.append(field: field.number, wireType: 5)
      try appendScalar(value, of: field, to: &bytes)
    default:
      bytes.append(field: field.number, wireType: 0)
      try appendScalar(value, of: field, to: &bytes)
    }
  }

  /// A number without its tag.
  private func appendScalar(
    _ value: JSONValue, of field: FieldType, to bytes: inout [UInt8]
  ) throws(DynamicMessageError) {
    switch field.kind {
    case .bool:
      guard case .bool(let flag) = value else {
        throw DynamicMessageError("expected true or false, not \(value.kindName)")
      }
      bytes.append(varint: flag ? 1 : 0)
    case .enum: bytes.append(varint: UInt64(bitPattern: Int64(try enumNumber(value, field.typeName))))
    case .int32: bytes.append(varint: UInt64(bitPattern: Int64(try value.whole(Int32.self))))
    case .int64: bytes.append(varint: UInt64(bitPattern: try value.whole(Int64.self)))
    case .uint32: bytes.append(varint: UInt64(try value.whole(UInt32.self)))
    case .uint64: bytes.append(varint: try value.whole(UInt64.self))
    case .sint32: bytes.append(varint: Int64(try value.whole(Int32.self)).zigZagEncoded)
    case .sint64: bytes.append(varint: try value.whole(Int64.self).zigZagEncoded)
    case .fixed32: bytes.append(fixed: try value.whole(UInt32.self))
    case .sfixed32: bytes.append(fixed: try value.whole(Int32.self))
    case .fixed64: bytes.append(fixed: try value.whole(UInt64.self))
    case .sfixed64: bytes.append(fixed: try value.whole(Int64.self))
    case .double: bytes.append(fixed: try value.real().bitPattern)
    case .float:
      let number = try value.real()
      guard !number.isFinite || Float(number).isFinite else { throw DynamicMessageError("it is too large for a float") }
      bytes.append(fixed: Float(number).bitPattern)
    case .string, .bytes, .message, .group: preconditionFailure("\(field.kind) is no number")
    }
  }

  private func enumNumber(_ value: JSONValue, _ name: String) throws(DynamicMessageError) -> Int32 {
    guard case .string(let text) = value else { return try value.whole(Int32.self) }
    let values = enumeration(name)?.values ?? []
    if let found = values.first(where: { $0.name == text }) { return found.number }
    throw DynamicMessageError("\(name) has no value '\(text)'; it has \(values.map(\.name).joined(separator: ", "))")
  }

  /// Both alphabets, with and without padding.
  private static func base64(_ text: String) -> [UInt8]? {
    var plain = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    while plain.utf8.count % 4 != 0 { plain += "=" }
    return Data(base64Encoded: plain).map { [UInt8]($0) }
  }
}

extension JSONValue {
  fileprivate func whole<Number: FixedWidthInteger>(_ type: Number.Type) throws(DynamicMessageError) -> Number {
    let number: Number? =
      switch self {
      case .integer(let value): Number(exactly: value)
      case .unsigned(let value): Number(exactly: value)
      case .number(let value): Number(exactly: value)
      case .string(let text): Number(text)
      default: throw DynamicMessageError("expected a whole number, not \(kindName)")
      }
    guard let number else { throw DynamicMessageError("expected a whole number from \(Number.min) to \(Number.max)") }
    return number
  }

  fileprivate func real() throws(DynamicMessageError) -> Double {
    switch self {
    case .integer(let value): return Double(value)
    case .unsigned(let value): return Double(value)
    case .number(let value): return value
    case .string("NaN"): return .nan
    case .string("Infinity"): return .infinity
    case .string("-Infinity"): return -.infinity
    case .string(let text):
      guard let value = Double(text), value.isFinite else { throw DynamicMessageError("expected a number") }
      return value
    default: throw DynamicMessageError("expected a number, not \(kindName)")
    }
  }
}
