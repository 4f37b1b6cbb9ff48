internal import SwiftProtobuf

/// Refuses what neither protoc-c 1.4.1 nor the generated Swift can express, before any descriptor is resolved.
struct SchemaRules {
  private let files: Set<String>
  private var problems: [SchemaError.Problem] = []

  static func check(_ set: Google_Protobuf_FileDescriptorSet) throws(SchemaError) {
    var rules = SchemaRules(files: Set(set.file.map(\.name)))
    for file in set.file { rules.check(file) }
    guard rules.problems.isEmpty else { throw SchemaError(problems: rules.problems) }
  }

  private init(files: Set<String>) {
    self.files = files
  }

  private mutating func check(_ file: Google_Protobuf_FileDescriptorProto) {
    func complain(_ element: String = "", _ message: String) {
      problems.append(SchemaError.Problem(file: file.name, element: element, message: message))
    }
    guard file.syntax == "proto3" else {
      let syntax = file.syntax.isEmpty ? "proto2" : file.syntax
      return complain("", "uses \(syntax); only proto3 is supported, so begin with: syntax = \"proto3\";")
    }
    if file.package.isEmpty { complain("", "has no package; add one, such as: package chancery.v1;") }
    for path in file.dependency where path.hasPrefix("google/") || path.hasPrefix("protobuf-c/") {
      complain("", "imports \(path), whose types and options are not supported; declare what you need yourself")
    }
    if file.options.optimizeFor == .codeSize {
      complain("", "optimize_for = CODE_SIZE leaves out the field names that errors need; remove it")
    }
    for field in file.extension { complain(field.name, "extensions are not supported") }
    for message in file.messageType { check(message, in: file.package, complain) }
    for name in file.enumType.map(\.name) + file.service.map(\.name) { check(typeName: name, file.package, complain) }
  }

  private func check(
    _ message: Google_Protobuf_DescriptorProto, in scope: String, _ complain: (String, String) -> Void
  ) {
    let name = "\(scope).\(message.name)"
    if !message.options.mapEntry { check(typeName: message.name, scope, complain) }
    if !message.extension.isEmpty || !message.extensionRange.isEmpty {
      complain(name, "extensions are not supported")
    }
    for field in message.field {
      if field.type == .group { complain("\(name).\(field.name)", "groups are not supported; nest a message") }
      if field.proto3Optional {
        complain(
          "\(name).\(field.name)",
          "protoc-c 1.4.1 refuses 'optional'; write: oneof _\(field.name) { … \(field.name) = \(field.number); }")
      }
    }
    checkCMembers(of: message, name, complain)
    for nested in message.nestedType { check(nested, in: name, complain) }
    for nested in message.enumType { check(typeName: nested.name, name, complain) }
  }

  private func check(typeName: String, _ scope: String, _ complain: (String, String) -> Void) {
    if Keywords.namesUsedInGeneratedCode.contains(typeName) {
      complain("\(scope).\(typeName)", "would hide Swift's or the runtime's \(typeName) in generated code; rename it")
    }
  }

  /// protoc-c adds members to a struct; a field of the same name does not compile.
  private func checkCMembers(
    of message: Google_Protobuf_DescriptorProto, _ name: String, _ complain: (String, String) -> Void
  ) {
    var owners = ["base": "protoc-c's header of each struct"]
    func claim(_ member: String, for owner: String) {
      if let other = owners.updateValue(owner, forKey: member) {
        complain(name, "\(owner) and \(other) both become the C member '\(member)'; rename one")
      }
    }
    for field in message.field {
      claim(CNames.member(field.name), for: "field \(field.name)")
      if field.label == .repeated {
        claim("n_" + CNames.member(field.name), for: "the count of field \(field.name)")
      }
    }
    for oneof in message.oneofDecl { claim(CNames.caseMember(oneof.name), for: "the case of oneof \(oneof.name)") }
  }
}
