internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

/// Translates descriptors into a ``Schema``, noting the names that collide on the way.
struct SchemaBuilder {
  let cycles: ContainmentCycles
  let namer = SwiftProtobufNamer()
  private(set) var problems: [SchemaError.Problem] = []
  private var path = ""

  init(cycles: ContainmentCycles) {
    self.cycles = cycles
  }

  mutating func file(_ file: FileDescriptor) -> SchemaFile {
    path = file.name
    let namespace = Self.namespace(of: file)
    let stem = file.name.split(separator: "/").last!.dropLast(".proto".count)
    var messages: [SchemaMessage] = []
    for message in file.messages { add(message, to: &messages) }
    return SchemaFile(
      path: file.name, package: file.package, namespace: namespace,
      swiftName: "\(namespace)+\(NamingUtils.toUpperCamelCase(String(stem)))", messages: messages,
      enums: (file.enums + file.messages.flatMap(Self.nestedEnums)).map { enumeration($0) },
      services: file.services.map { service($0, namespace: namespace) })
  }

  /// Finds what collides between the files of a package.
  mutating func checkNamespaces(of files: [SchemaFile]) {
    for (name, group) in Dictionary(grouping: files, by: \.swiftName) where group.count > 1 {
      complain(in: group[1].path, "", "becomes \(name).swift, as does \(group[0].path); rename one file")
    }
    for (name, group) in Dictionary(grouping: files, by: \.namespace) where Set(group.map(\.package)).count > 1 {
      complain(in: group[1].path, "", "package becomes \(name), as does that of \(group[0].path); rename one package")
    }
  }

  private static func namespace(of file: FileDescriptor) -> String {
    file.package.split(separator: ".").map { NamingUtils.toUpperCamelCase(String($0)) }.joined()
  }

  private static func nestedEnums(of message: Descriptor) -> [EnumDescriptor] {
    message.enums + message.messages.flatMap(nestedEnums)
  }

  func swiftType(_ message: Descriptor) -> String {
    "\(Self.namespace(of: message.file)).\(namer.fullName(message: message))"
  }

  func swiftType(_ enumeration: EnumDescriptor) -> String {
    "\(Self.namespace(of: enumeration.file)).\(namer.fullName(enum: enumeration))"
  }

  func scope(_ container: Descriptor?, _ file: FileDescriptor) -> String {
    container.map(swiftType) ?? Self.namespace(of: file)
  }

  mutating func complain(in file: String? = nil, _ element: String, _ message: String) {
    problems.append(SchemaError.Problem(file: file ?? path, element: element, message: message))
  }

  /// Complains about names that occur twice.
  mutating func checkUnique(_ names: [(name: String, owner: String)], in element: String) {
    var owners: [String: String] = [:]
    for (name, owner) in names {
      if let other = owners.updateValue(owner, forKey: name) {
        complain(element, "\(owner) and \(other) both become '\(name)' in Swift; rename one")
      }
    }
  }

  /// The comment on an element, whose directives are checked.
  mutating func docComment(
    _ element: some ProvidesSourceCodeLocation, _ name: String, isDeprecated: Bool = false
  ) -> DocComment {
    let comment = DocComment(element.sourceCodeInfoLocation, isDeprecated: isDeprecated)
    for directive in comment.unknownDirectives {
      complain(name, "the comment line \(directive) is no directive of the generator; the only one is @view")
    }
    if comment.asksForView, !(element is Descriptor) {
      complain(name, "only a message can have a view; remove the comment line @view")
    }
    return comment
  }
}
