// Source: google/protobuf/descriptor.proto, whose field numbers these are.

extension SchemaTypeSet {
  mutating func read(_ set: [UInt8]) throws(DynamicMessageError) {
    for field in try WireField.all(of: set[...]) where field.number == 1 { try readFile(field.content) }
  }

  private mutating func readFile(_ bytes: ArraySlice<UInt8>) throws(DynamicMessageError) {
    let fields = try WireField.all(of: bytes)
    let package = fields.last(2)?.text ?? ""
    let comments = try SchemaComments(fields.last(9)?.content ?? [])
    let prefix = package.isEmpty ? "" : package + "."
    var counts: [UInt32: Int32] = [:]
    for field in fields {
      let index = counts[field.number, default: 0]
      counts[field.number] = index + 1
      let place = SchemaPlace(prefix: prefix, path: [Int32(field.number), index], comments: comments)
      switch field.number {
      case 4: try readMessage(field.content, place)
      case 5: try readEnum(field.content, place)
      case 6: try readService(field.content, place)
      default: break
      }
    }
  }

  private mutating func readMessage(_ bytes: ArraySlice<UInt8>, _ place: SchemaPlace) throws(DynamicMessageError) {
    let parts = try WireField.all(of: bytes)
    var message = MessageType(name: place.prefix + (parts.last(1)?.text ?? ""), comment: place.comment)
    var counts: [UInt32: Int32] = [:]
    for part in parts {
      let index = counts[part.number, default: 0]
      counts[part.number] = index + 1
      let inner = place.inside(message.name, Int32(part.number), index)
      switch part.number {
      case 2: message.fields.append(try Self.field(part.content, inner))
      case 3: try readMessage(part.content, inner)
      case 4: try readEnum(part.content, inner)
      case 7:
        message.isMapEntry = try WireField.all(of: part.content).contains { $0.number == 7 && $0.unsigned != 0 }
      case 8: message.oneofs.append(try WireField.all(of: part.content).last(1)?.text ?? "")
      default: break
      }
    }
    messages[message.name] = message
  }

  private static func field(_ bytes: ArraySlice<UInt8>, _ place: SchemaPlace) throws(DynamicMessageError) -> FieldType {
    var field = FieldType(name: "", jsonName: "", number: 0, kind: .int32, typeName: "", comment: place.comment)
    for part in try WireField.all(of: bytes) {
      switch part.number {
      case 1: field.name = part.text
      case 3: field.number = UInt32(truncatingIfNeeded: part.unsigned)
      case 4: field.isRepeated = part.unsigned == 3
      case 5:
        guard let kind = FieldType.Kind(rawValue: part.unsigned), kind != .group else {
          throw DynamicMessageError("its type \(part.unsigned) is not supported", at: "\(place.prefix)\(field.name)")
        }
        field.kind = kind
      case 6: field.typeName = String(part.text.drop { $0 == "." })
      case 8:
        for option in try WireField.all(of: part.content) where option.number == 2 {
          field.isPacked = option.unsigned != 0
        }
      case 9: field.oneof = Int(truncatingIfNeeded: part.unsigned)
      case 10: field.jsonName = part.text
      case 17: field.isOptional = part.unsigned != 0
      default: break
      }
    }
    field.isPacked = field.isPacked && field.kind.isPackable
    field.hasPresence = field.oneof != nil || field.isOptional || field.kind == .message && !field.isRepeated
    if field.jsonName.isEmpty { field.jsonName = field.name }
    return field
  }

  private mutating func readEnum(_ bytes: ArraySlice<UInt8>, _ place: SchemaPlace) throws(DynamicMessageError) {
    let parts = try WireField.all(of: bytes)
    let name = place.prefix + (parts.last(1)?.text ?? "")
    var type = EnumType(name: name, comment: place.comment)
    for part in parts where part.number == 2 {
      let fields = try WireField.all(of: part.content)
      type.values.append(
        EnumType.Value(
          name: fields.last(1)?.text ?? "",
          number: Int32(truncatingIfNeeded: fields.last(2)?.unsigned ?? 0),
          comment: place.inside(name, 2, Int32(type.values.count)).comment))
    }
    enums[name] = type
  }

  private mutating func readService(_ bytes: ArraySlice<UInt8>, _ place: SchemaPlace) throws(DynamicMessageError) {
    let parts = try WireField.all(of: bytes)
    let name = place.prefix + (parts.last(1)?.text ?? "")
    var service = ServiceType(name: name, comment: place.comment, methods: [])
    for part in parts where part.number == 2 {
      let inner = place.inside(name, 2, Int32(service.methods.count))
      var method = MethodType(service: name, name: "", request: "", reply: "", comment: inner.comment)
      for field in try WireField.all(of: part.content) {
        switch field.number {
        case 1: method.name = field.text
        case 2: method.request = String(field.text.drop { $0 == "." })
        case 3: method.reply = String(field.text.drop { $0 == "." })
        case 4:
          for option in try WireField.all(of: field.content) where option.number == 34 {
            method.idempotency = Int(truncatingIfNeeded: option.unsigned)
          }
        case 5: method.streamsRequests = field.unsigned != 0
        case 6: method.streamsReplies = field.unsigned != 0
        default: break
        }
      }
      service.methods.append(method)
    }
    services.append(service)
  }
}

/// Where in a file an element stands.
private struct SchemaPlace {
  /// What its name is appended to, with a dot at the end.
  var prefix: String
  /// Its path, as `SourceCodeInfo.Location.path` has it.
  var path: [Int32]
  let comments: SchemaComments

  var comment: String { comments.byPath[path] ?? "" }

  func inside(_ name: String, _ part: Int32, _ index: Int32) -> SchemaPlace {
    SchemaPlace(prefix: name + ".", path: path + [part, index], comments: comments)
  }
}

/// The comments of a file, by the paths of what they stand before.
private struct SchemaComments {
  private(set) var byPath: [[Int32]: String] = [:]

  init(_ sourceCodeInfo: ArraySlice<UInt8>) throws(DynamicMessageError) {
    for location in try WireField.all(of: sourceCodeInfo) where location.number == 1 {
      var path: [Int32] = []
      var comment: String?
      for part in try WireField.all(of: location.content) {
        switch (part.number, part.value) {
        case (1, .varint(let value)): path.append(Int32(truncatingIfNeeded: value))
        case (1, .bytes(let packed)): path += try Self.varints(packed)
        case (3, _): comment = part.text
        default: break
        }
      }
      if let comment { byPath[path] = comment }
    }
  }

  private static func varints(_ bytes: ArraySlice<UInt8>) throws(DynamicMessageError) -> [Int32] {
    try PackedVarints(bytes).values.map { Int32(truncatingIfNeeded: $0) }
  }
}
