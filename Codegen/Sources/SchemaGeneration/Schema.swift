internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

/// The `.proto` files with all that the emitters need to know, in the terms of the generated code.
struct Schema {
  let files: [SchemaFile]

  /// Resolves a descriptor set that has passed ``SchemaRules``.
  ///
  /// - Throws: ``SchemaError`` when names collide in Swift.
  init(_ set: Google_Protobuf_FileDescriptorSet) throws(SchemaError) {
    // Without a prefix, SwiftProtobuf's namer yields the names that fit into a namespace.
    var protos = set.file
    for index in protos.indices { protos[index].options.swiftPrefix = "" }
    let descriptors = DescriptorSet(protos: protos)
    var builder = SchemaBuilder(cycles: ContainmentCycles(descriptors.files.flatMap(\.messages)))
    files = descriptors.files.map { builder.file($0) }.sorted { $0.path < $1.path }
    builder.checkNamespaces(of: files)
    guard builder.problems.isEmpty else { throw SchemaError(problems: builder.problems) }
  }

  /// All messages but map entries, each after the message it is nested in.
  var messages: [SchemaMessage] { files.flatMap(\.messages) }
}

/// A `.proto` file.
struct SchemaFile {
  /// Its path below the schema's root, such as `chancery/v1/health.proto`.
  let path: String
  /// The protobuf package, such as `chancery.v1`.
  let package: String
  /// The Swift namespace of the package, such as `ChanceryV1`.
  let namespace: String
  /// The name of the generated file without its extension, such as `ChanceryV1+Health`.
  let swiftName: String
  /// Top-level and nested messages without map entries, in the order of declaration.
  let messages: [SchemaMessage]
  /// Top-level and nested enums.
  let enums: [SchemaEnum]
  let services: [SchemaService]
}

/// A message.
struct SchemaMessage {
  let fullName: String
  /// The Swift type with its namespace, such as `ChanceryV1.Outer.Middle`.
  let swiftType: String
  /// The type or namespace that holds it, such as `ChanceryV1.Outer`.
  let scope: String
  /// The name in its scope, such as `Middle`.
  let name: String
  let comment: DocComment
  /// Whether a view is generated, as asked for by a comment line `@view`.
  let hasView: Bool
  let properties: [Property]

  var cType: String { CNames.type(fullName) }
  var cPrefix: String { CNames.prefix(fullName) }

  /// What becomes one Swift property.
  enum Property {
    case field(SchemaField)
    case oneof(SchemaOneof)
  }
}

/// A oneof with several members.
struct SchemaOneof {
  /// The Swift property, such as `body`.
  let property: String
  /// The nested enum, such as `Body`.
  let typeName: String
  /// The Swift type of the message that holds it.
  let owner: String
  let comment: DocComment
  /// The C member that holds the number of the field that is set.
  let cCaseMember: String
  let members: [SchemaField]

  var swiftType: String { "\(owner).\(typeName)" }
}

/// A field.
struct SchemaField {
  /// The name in the `.proto` file.
  let protoName: String
  let number: Int32
  /// The Swift property or enum case, in backticks where necessary.
  let property: String
  /// The name with a leading capital, for names composed with it.
  let capitalizedName: String
  let cMember: String
  let shape: Shape
  /// Whether the field's message contains the message that holds the field.
  let isRecursive: Bool
  let comment: DocComment

  /// How often the field occurs.
  enum Shape {
    /// A scalar, absent when it has its default.
    case plain(SchemaType)
    /// A message, or the only member of a oneof whose C case member is given.
    case optional(SchemaType, caseMember: String?)
    case repeated(SchemaType)
    case map(key: SchemaType, value: SchemaType, entryType: String, entryPrefix: String)
    /// A member of a oneof with several members.
    case member(SchemaType)
  }
}

/// The type of one value.
enum SchemaType {
  /// A number, of the same Swift type in C.
  case number(String)
  case bool
  case string
  case bytes
  case enumeration(swiftType: String, cType: String, defaultCase: String)
  case message(swiftType: String, cType: String, hasView: Bool)
}

/// An enum.
struct SchemaEnum {
  let fullName: String
  let scope: String
  let name: String
  let comment: DocComment
  /// The values with a number of their own, in the order of declaration.
  let cases: [Case]
  /// The values with a number that another has.
  let aliases: [(alias: Case, name: String)]

  struct Case {
    let name: String
    let number: Int32
    let comment: DocComment
  }
}

/// A service.
struct SchemaService {
  let fullName: String
  let scope: String
  let name: String
  let comment: DocComment
  let methods: [SchemaMethod]

  var swiftType: String { "\(scope).\(name)" }
}

/// A method of a service.
struct SchemaMethod {
  let protoName: String
  /// The Swift function, in backticks where necessary.
  let name: String
  let request: String
  let reply: String
  let shape: Shape
  /// The case of the runtime's `Idempotency`.
  let idempotency: String
  let comment: DocComment

  /// The runtime's `CallShape`.
  enum Shape: String {
    case unary, clientStreaming, serverStreaming, bidirectional
  }
}
