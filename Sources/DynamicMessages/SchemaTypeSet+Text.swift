extension SchemaTypeSet {
  /// A service, method, message or enum as it is written in a .proto file, with its comments; nil if the schema holds none
  /// of this name.
  public func text(of name: String) -> String? {
    if let service = service(name) { return text(of: service) }
    if let method = method(name) { return Self.comment(method.comment) + Self.line(of: method) + "\n" }
    if let message = message(name) { return text(of: message) }
    return enumeration(name).map { text(of: $0) }
  }

  private func text(of service: ServiceType) -> String {
    let methods = service.methods.map { Self.comment($0.comment, indent: "  ") + "  " + Self.line(of: $0) + "\n" }
    return Self.comment(service.comment) + "service \(service.name) {\n" + methods.joined(separator: "\n") + "}\n"
  }

  private static func line(of method: MethodType) -> String {
    let request = (method.streamsRequests ? "stream " : "") + method.request
    let reply = (method.streamsReplies ? "stream " : "") + method.reply
    return "rpc \(method.name)(\(request)) returns (\(reply));"
  }

  private func text(of message: MessageType) -> String {
    var text = Self.comment(message.comment) + "message \(message.name) {\n"
    var isFirst = true
    var opened: Int?
    for field in message.fields {
      let oneof = field.isOptional ? nil : field.oneof
      if opened != nil, opened != oneof { text += "  }\n" }
      if !isFirst, oneof == nil || opened != oneof { text += "\n" }
      if let oneof, opened != oneof { text += "  oneof \(message.oneofs[oneof]) {\n" }
      opened = oneof
      let indent = oneof == nil ? "  " : "    "
      text += Self.comment(field.comment, indent: indent) + indent + line(of: field) + "\n"
      isFirst = false
    }
    if opened != nil { text += "  }\n" }
    return text + "}\n"
  }

  private func line(of field: FieldType) -> String {
    if let entry = mapEntry(of: field), let key = entry.field(number: 1), let value = entry.field(number: 2) {
      return "map<\(Self.typeText(key)), \(Self.typeText(value))> \(field.name) = \(field.number);"
    }
    let label = field.isRepeated ? "repeated " : field.isOptional ? "optional " : ""
    return "\(label)\(Self.typeText(field)) \(field.name) = \(field.number);"
  }

  private static func typeText(_ field: FieldType) -> String {
    field.typeName.isEmpty ? "\(field.kind)" : field.typeName
  }

  private func text(of type: EnumType) -> String {
    let values = type.values.map { value in
      Self.comment(value.comment, indent: "  ") + "  \(value.name) = \(value.number);\n"
    }
    return Self.comment(type.comment) + "enum \(type.name) {\n" + values.joined() + "}\n"
  }

  private static func comment(_ comment: String, indent: String = "") -> String {
    guard !comment.isEmpty else { return "" }
    var lines = comment.split(separator: "\n", omittingEmptySubsequences: false)
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { line in indent + "//" + line + "\n" }.joined()
  }
}
