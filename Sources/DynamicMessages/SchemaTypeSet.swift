/// The types of a schema, as a `google.protobuf.FileDescriptorSet` describes them: what a program knows of messages that
/// it was not compiled with.
public struct SchemaTypeSet: Sendable {
  /// The services, by name.
  public internal(set) var services: [ServiceType] = []
  var messages: [String: MessageType] = [:]
  var enums: [String: EnumType] = [:]

  /// Reads a serialised descriptor set. Throws for bytes that are none, and for types that it names and does not hold.
  public init(fileDescriptorSet: [UInt8]) throws(DynamicMessageError) {
    try read(fileDescriptorSet)
    services.sort { $0.name < $1.name }
    try check()
  }

  /// A service, by its full name.
  public func service(_ name: String) -> ServiceType? { services.first { $0.name == name } }

  /// A message, by its full name.
  public func message(_ name: String) -> MessageType? { messages[name] }

  /// An enum, by its full name.
  public func enumeration(_ name: String) -> EnumType? { enums[name] }

  /// A method, by `service/method`, with a slash before it or a dot between, as gRPC's tools take them.
  public func method(_ path: String) -> MethodType? {
    let path = path.first == "/" ? path.dropFirst() : path[...]
    guard let cut = path.lastIndex(of: "/") ?? path.lastIndex(of: ".") else { return nil }
    let method = path[path.index(after: cut)...]
    return service(String(path[..<cut]))?.methods.first { $0.name == method }
  }

  /// The names of all messages and enums but map entries, sorted.
  public var typeNames: [String] {
    (messages.values.filter { !$0.isMapEntry }.map(\.name) + enums.keys).sorted()
  }

  private func check() throws(DynamicMessageError) {
    for method in services.flatMap(\.methods) {
      for name in [method.request, method.reply] where messages[name] == nil {
        throw DynamicMessageError("the schema does not hold '\(name)'", at: method.path)
      }
    }
    for message in messages.values {
      for field in message.fields {
        let isKnown =
          switch field.kind {
          case .message: messages[field.typeName] != nil
          case .enum: enums[field.typeName] != nil
          default: true
          }
        guard isKnown else {
          throw DynamicMessageError("the schema does not hold '\(field.typeName)'", at: "\(message.name).\(field.name)")
        }
      }
    }
  }
}
