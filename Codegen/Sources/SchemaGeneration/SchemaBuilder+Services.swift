internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

extension SchemaBuilder {
  mutating func enumeration(_ type: EnumDescriptor) -> SchemaEnum {
    var cases: [SchemaEnum.Case] = []
    var aliases: [(alias: SchemaEnum.Case, name: String)] = []
    for value in type.values {
      let result = SchemaEnum.Case(
        name: namer.relativeName(enumValue: value), number: value.number,
        comment: docComment(value, value.fullName, isDeprecated: value.options.deprecated))
      if let original = cases.first(where: { $0.number == value.number }) {
        // SwiftProtobuf's namer gives one name to aliases that differ only in the prefix.
        if original.name != result.name { aliases.append((result, original.name)) }
      } else {
        cases.append(result)
      }
    }
    let owners =
      cases.map { ($0.name, "value \($0.number)") } + aliases.map { ($0.alias.name, "alias \($0.alias.name)") }
    checkUnique([("unrecognized", "the case for unknown numbers")] + owners, in: type.fullName)
    return SchemaEnum(
      fullName: type.fullName, scope: scope(type.containingType, type.file), name: namer.relativeName(enum: type),
      comment: docComment(type, type.fullName, isDeprecated: type.options.deprecated), cases: cases, aliases: aliases)
  }

  mutating func service(_ service: ServiceDescriptor, namespace: String) -> SchemaService {
    let methods = service.methods.map { method in
      SchemaMethod(
        protoName: method.name, name: Keywords.escaped(NamingUtils.toLowerCamelCase(method.name)),
        request: swiftType(method.inputType), reply: swiftType(method.outputType), shape: Self.shape(method),
        idempotency: Self.idempotency(method),
        comment: docComment(method, method.fullName, isDeprecated: method.options.deprecated))
    }
    checkUnique(
      [("serviceName", "the service's constant"), ("methods", "the list of methods"), ("`init`", "the initializer")]
        + methods.map { ($0.name, "method \($0.protoName)") }, in: service.fullName)
    for name in ["channel", "methodHandlers"] where methods.contains(where: { $0.name == name }) {
      complain(service.fullName, "a method may not be called '\(name)', a name the stubs use; rename it")
    }
    return SchemaService(
      fullName: service.fullName, scope: namespace, name: service.name,
      comment: docComment(service, service.fullName, isDeprecated: service.options.deprecated), methods: methods)
  }

  private static func shape(_ method: SwiftProtobufPluginLibrary.MethodDescriptor) -> SchemaMethod.Shape {
    switch (method.clientStreaming, method.serverStreaming) {
    case (false, false): .unary
    case (true, false): .clientStreaming
    case (false, true): .serverStreaming
    case (true, true): .bidirectional
    }
  }

  private static func idempotency(_ method: SwiftProtobufPluginLibrary.MethodDescriptor) -> String {
    switch method.options.idempotencyLevel {
    case .idempotencyUnknown: "unknown"
    case .noSideEffects: "noSideEffects"
    case .idempotent: "idempotent"
    }
  }
}
