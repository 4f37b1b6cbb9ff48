internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

extension SchemaBuilder {
  mutating func add(_ message: Descriptor, to messages: inout [SchemaMessage]) {
    guard !message.options.mapEntry else { return }
    let comment = docComment(message, message.fullName, isDeprecated: message.options.deprecated)
    let result = SchemaMessage(
      fullName: message.fullName, swiftType: swiftType(message), scope: scope(message.containingType, message.file),
      name: namer.relativeName(message: message), comment: comment, hasView: comment.asksForView,
      properties: properties(of: message))
    checkNames(
      of: result,
      nestedTypes: message.messages.filter { !$0.options.mapEntry }.map(namer.relativeName(message:))
        + message.enums.map(namer.relativeName(enum:)))
    messages.append(result)
    for nested in message.messages { add(nested, to: &messages) }
  }

  private mutating func properties(of message: Descriptor) -> [SchemaMessage.Property] {
    var seenOneofs: Set<Int> = []
    return message.fields.compactMap { field in
      guard let oneof = field.containingOneof else { return .field(self.field(field)) }
      guard oneof.fields.count > 1 else { return .field(self.field(field)) }
      return seenOneofs.insert(oneof.index).inserted ? .oneof(self.oneof(oneof)) : nil
    }
  }

  private mutating func oneof(_ oneof: OneofDescriptor) -> SchemaOneof {
    SchemaOneof(
      property: namer.messagePropertyName(oneof: oneof).name, typeName: NamingUtils.toUpperCamelCase(oneof.name),
      owner: swiftType(oneof.containingType), comment: docComment(oneof, oneof.fullName),
      cCaseMember: CNames.caseMember(oneof.name), members: oneof.fields.map { field($0) })
  }

  private mutating func field(_ field: FieldDescriptor) -> SchemaField {
    let name = namer.messagePropertyNames(field: field, prefixed: "", includeHasAndClear: false).name
    var comment = docComment(field, field.fullName, isDeprecated: field.options.deprecated)
    if let oneof = field.containingOneof, oneof.fields.count == 1 {
      comment = comment.or(docComment(oneof, oneof.fullName, isDeprecated: field.options.deprecated))
    }
    return SchemaField(
      protoName: field.name, number: field.number, property: name,
      capitalizedName: NamingUtils.toUpperCamelCase(field.name), cMember: CNames.member(field.name),
      shape: shape(field), isRecursive: cycles.contains(field),
      comment: comment)
  }

  private func shape(_ field: FieldDescriptor) -> SchemaField.Shape {
    if field.isMap, let entry = field.messageType, let (key, value) = entry.mapKeyAndValue {
      return .map(
        key: type(key), value: type(value), entryType: CNames.type(entry.fullName),
        entryPrefix: CNames.prefix(entry.fullName))
    }
    if field.isRepeated { return .repeated(type(field)) }
    if let oneof = field.containingOneof {
      return oneof.fields.count > 1
        ? .member(type(field)) : .optional(type(field), caseMember: CNames.caseMember(oneof.name))
    }
    return field.type == .message ? .optional(type(field), caseMember: nil) : .plain(type(field))
  }

  private func type(_ field: FieldDescriptor) -> SchemaType {
    switch field.type {
    case .double: return .number("Double")
    case .float: return .number("Float")
    case .int32, .sint32, .sfixed32: return .number("Int32")
    case .int64, .sint64, .sfixed64: return .number("Int64")
    case .uint32, .fixed32: return .number("UInt32")
    case .uint64, .fixed64: return .number("UInt64")
    case .bool: return .bool
    case .string: return .string
    case .bytes: return .bytes
    case .enum:
      let type = field.enumType!
      return .enumeration(
        swiftType: swiftType(type), cType: CNames.type(type.fullName),
        defaultCase: namer.dottedRelativeName(enumValue: type.values[0]))
    case .message:
      let type = field.messageType!
      return .message(
        swiftType: swiftType(type), cType: CNames.type(type.fullName),
        hasView: DocComment(type.sourceCodeInfoLocation).asksForView)
    case .group: preconditionFailure("the schema rules let a group pass")
    }
  }

  private mutating func checkNames(of message: SchemaMessage, nestedTypes: [String]) {
    var names = [(name: "protobufBytes", owner: "the message's method")]
    if message.hasView {
      names += [("copied", "the view's method"), ("storage", "the view's storage")]
    }
    var types = nestedTypes.map { (name: $0, owner: "the nested type") }
    if message.hasView { types += [("View", "the view"), ("Message", "the view's message type")] }
    for property in message.properties {
      switch property {
      case .field(let field): names.append((field.property, "field \(field.protoName)"))
      case .oneof(let oneof):
        names.append((oneof.property, "oneof \(oneof.property)"))
        types.append((oneof.typeName, "oneof \(oneof.property)"))
        checkUnique(oneof.members.map { ($0.property, "field \($0.protoName)") }, in: message.fullName)
        for member in oneof.members where member.property == "none" {
          complain(message.fullName, "a oneof member 'none' is mistaken for Optional.none in Swift; rename it")
        }
        if Keywords.namesUsedInGeneratedCode.contains(oneof.typeName) {
          complain(message.fullName, "oneof \(oneof.property) would hide the type \(oneof.typeName); rename it")
        }
      }
    }
    checkUnique(names, in: message.fullName)
    checkUnique(types, in: message.fullName)
  }
}
