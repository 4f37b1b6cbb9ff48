import FoundationEssentials

// Source: the JSON mapping of protobuf, https://protobuf.dev/programming-guides/json/. Messages of google.protobuf have no
// form of their own.
extension SchemaTypeSet {
  /// A message in wire format as JSON. Fields that have their default are left out unless `includesDefaults`; fields that
  /// the schema does not know are left out.
  ///
  /// Throws for bytes that are not such a message, and for one nested deeper than 100 levels.
  public func json(
    _ bytes: ArraySlice<UInt8>, as name: String, includesDefaults: Bool = false
  ) throws(DynamicMessageError) -> JSONValue {
    try JSONWriter(types: self, includesDefaults: includesDefaults).object(bytes, name, depth: 1)
  }
}

private struct JSONWriter {
  /// What others accept too.
  static let deepestNesting = 100

  let types: SchemaTypeSet
  let includesDefaults: Bool

  func object(_ bytes: ArraySlice<UInt8>, _ name: String, depth: Int) throws(DynamicMessageError) -> JSONValue {
    guard let type = types.message(name) else { throw DynamicMessageError("the schema does not hold '\(name)'") }
    guard depth <= Self.deepestNesting else {
      throw DynamicMessageError("messages are nested deeper than \(Self.deepestNesting) levels")
    }
    var values: [UInt32: [WireField]] = [:]
    for wire in try WireField.all(of: bytes) {
      guard let field = type.field(number: wire.number) else { continue }
      if let oneof = field.oneof {
        for other in type.fields where other.oneof == oneof && other.number != field.number {
          values[other.number] = nil
        }
      }
      values[wire.number, default: []].append(wire)
    }
    var members: [String: JSONValue] = [:]
    for field in type.fields {
      do throws(DynamicMessageError) {
        if let wires = values[field.number] {
          members[field.jsonName] = try value(of: field, wires, depth: depth)
        } else if includesDefaults, !field.hasPresence {
          members[field.jsonName] = emptyValue(of: field)
        }
      } catch {
        throw error.inside(field.name)
      }
    }
    return .object(members)
  }

  private func value(of field: FieldType, _ wires: [WireField], depth: Int) throws(DynamicMessageError) -> JSONValue? {
    if let entry = types.mapEntry(of: field) { return try map(entry, wires, depth: depth) }
    guard field.isRepeated else {
      // The last one counts; messages that come in parts are joined, which joining their bytes does.
      if field.kind == .message {
        return try object(try Self.joined(wires), field.typeName, depth: depth + 1)
      }
      guard let last = wires.last else { return nil }
      let value = try scalar(field, last)
      return field.hasPresence || includesDefaults || value != emptyValue(of: field) ? value : nil
    }
    var elements: [JSONValue] = []
    for wire in wires {
      if case .bytes(let block) = wire.value, field.kind.isPackable {
        for element in try field.kind.unpacked(block) { elements.append(try scalar(field, element)) }
      } else if field.kind == .message {
        elements.append(try object(try wire.expectedContent(), field.typeName, depth: depth + 1))
      } else {
        elements.append(try scalar(field, wire))
      }
    }
    // A block may be empty.
    return elements.isEmpty && !includesDefaults ? nil : .array(elements)
  }

  private func map(_ entry: MessageType, _ wires: [WireField], depth: Int) throws(DynamicMessageError) -> JSONValue {
    guard let keys = entry.field(number: 1), let values = entry.field(number: 2) else { return .object([:]) }
    var members: [String: JSONValue] = [:]
    for wire in wires {
      let parts = try WireField.all(of: try wire.expectedContent())
      let key = try parts.last(1).map { part throws(DynamicMessageError) in try scalar(keys, part) }
      let contents = parts.filter { $0.number == 2 }
      members[Self.key(key ?? emptyValue(of: keys))] =
        values.kind == .message
        ? try object(try Self.joined(contents), values.typeName, depth: depth + 1)
        : try contents.last.map { part throws(DynamicMessageError) in try scalar(values, part) }
          ?? emptyValue(of: values)
    }
    return .object(members)
  }

  private static func joined(_ parts: [WireField]) throws(DynamicMessageError) -> ArraySlice<UInt8> {
    var whole: [UInt8] = []
    for part in parts { whole += try part.expectedContent() }
    return whole[...]
  }

  private static func key(_ value: JSONValue) -> String {
    switch value {
    case .string(let text): text
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    default: ""
    }
  }

  /// What a field holds that is not set.
  private func emptyValue(of field: FieldType) -> JSONValue {
    if types.mapEntry(of: field) != nil { return .object([:]) }
    if field.isRepeated { return .array([]) }
    switch field.kind {
    case .bool: return .bool(false)
    case .string, .bytes: return .string("")
    case .int64, .uint64, .fixed64, .sfixed64, .sint64: return .string("0")
    case .double, .float: return .number(0)
    case .enum: return enumValue(0, field.typeName)
    default: return .integer(0)
    }
  }

  private func enumValue(_ number: Int32, _ name: String) -> JSONValue {
    types.enumeration(name)?.values.first { $0.number == number }.map { .string($0.name) } ?? .integer(Int64(number))
  }

  private func scalar(_ field: FieldType, _ wire: WireField) throws(DynamicMessageError) -> JSONValue {
    switch (field.kind, wire.value) {
    case (.bool, .varint(let value)): return .bool(value != 0)
    case (.int32, .varint(let value)): return .integer(Int64(Int32(truncatingIfNeeded: value)))
    case (.uint32, .varint(let value)): return .integer(Int64(UInt32(truncatingIfNeeded: value)))
    // Cut to 32 bits first, as other decoders do.
    case (.sint32, .varint(let value)): return .integer(UInt64(UInt32(truncatingIfNeeded: value)).zigZagDecoded)
    case (.int64, .varint(let value)): return .string("\(Int64(bitPattern: value))")
    case (.uint64, .varint(let value)), (.fixed64, .fixed64(let value)): return .string("\(value)")
    case (.sint64, .varint(let value)): return .string("\(value.zigZagDecoded)")
    case (.sfixed64, .fixed64(let value)): return .string("\(Int64(bitPattern: value))")
    case (.fixed32, .fixed32(let value)): return .integer(Int64(value))
    case (.sfixed32, .fixed32(let value)): return .integer(Int64(Int32(bitPattern: value)))
    case (.double, .fixed64(let bits)): return Self.number(Double(bitPattern: bits))
    case (.float, .fixed32(let bits)): return Self.number(Self.widened(Float(bitPattern: bits)))
    case (.enum, .varint(let value)): return enumValue(Int32(truncatingIfNeeded: value), field.typeName)
    case (.bytes, .bytes(let content)): return .string(Data(content).base64EncodedString())
    case (.string, .bytes(let content)):
      guard let text = String(validating: content, as: UTF8.self) else {
        throw DynamicMessageError("the text is not valid UTF-8")
      }
      return .string(text)
    default: throw DynamicMessageError("it has another type on the wire than in the schema")
    }
  }

  private static func number(_ value: Double) -> JSONValue {
    if value.isFinite { return .number(value) }
    return .string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
  }

  /// The number that the shortest text of a float stands for: 0.1, not 0.10000000149.
  private static func widened(_ value: Float) -> Double { Double("\(value)") ?? Double(value) }
}

extension SchemaTypeSet {
  /// The entries of a field that is a map.
  func mapEntry(of field: FieldType) -> MessageType? {
    guard field.isRepeated, field.kind == .message, let entry = message(field.typeName), entry.isMapEntry else {
      return nil
    }
    return entry
  }
}

extension WireField {
  fileprivate func expectedContent() throws(DynamicMessageError) -> ArraySlice<UInt8> {
    guard case .bytes(let content) = value else {
      throw DynamicMessageError("it has another type on the wire than in the schema")
    }
    return content
  }
}
