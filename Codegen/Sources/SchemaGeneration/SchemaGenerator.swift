internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

/// Turns a descriptor set into Swift values over the C structs that protoc-c makes for the same `.proto` files.
public struct SchemaGenerator {
  /// What the generated files are called and import.
  public struct Options: Sendable {
    /// The module of the C structs, for instance `CSchema`.
    public var cModule: String
    /// The enum that lists the message types and holds the descriptor set, for instance `SchemaDescriptors`.
    public var descriptorsName: String

    /// Makes options.
    public init(cModule: String, descriptorsName: String) {
      self.cModule = cModule
      self.descriptorsName = descriptorsName
    }
  }

  /// A generated file.
  public struct File: Sendable, Equatable {
    /// The path below the output directory.
    public let path: String
    /// The text.
    public let content: String
  }

  private let options: Options
  private let schema: Schema
  private let descriptorSet: [UInt8]

  /// Reads a descriptor set.
  ///
  /// - Parameters:
  ///   - descriptorSet: a serialised `google.protobuf.FileDescriptorSet` with source info, each file after those it
  ///     imports, as protoc writes it. All its files are generated.
  ///   - options: names of the output.
  /// - Throws: ``SchemaError`` with everything that cannot be generated, or an error of SwiftProtobuf if the bytes are
  ///   no descriptor set.
  public init(descriptorSet: [UInt8], options: Options) throws {
    let set = try Google_Protobuf_FileDescriptorSet(serializedBytes: descriptorSet)
    try SchemaRules.check(set)
    self.options = options
    self.descriptorSet = try Self.withCommentsAlone(set).serializedBytes()
    schema = try Schema(set)
  }

  /// The Swift files: one for each `.proto` file, one for each package's namespace, and one with the descriptors.
  public func swiftFiles() -> [File] {
    let namespaces = Dictionary(grouping: schema.files, by: \.namespace)
    return namespaces.keys.sorted().map { name in
      File(path: "\(name).swift", content: NamespaceEmitter(name: name, package: namespaces[name]![0].package).text)
    }
      + schema.files.map { file in
        File(path: "\(file.swiftName).swift", content: FileEmitter(file: file, cModule: options.cModule).text)
      }
      + [
        File(
          path: "\(options.descriptorsName).swift",
          content: DescriptorsEmitter(schema: schema, options: options).text)
      ]
  }

  /// The C files beside those of protoc-c: the module's umbrella header, its module map, and the descriptor set.
  public func cFiles() -> [File] {
    CModuleEmitter(schema: schema, module: options.cModule, descriptorSet: descriptorSet).files
  }

  /// Keeps the comments, which tools show, and forgets where in its file everything stood.
  private static func withCommentsAlone(_ set: Google_Protobuf_FileDescriptorSet) -> Google_Protobuf_FileDescriptorSet {
    var set = set
    for index in set.file.indices {
      set.file[index].sourceCodeInfo.location = set.file[index].sourceCodeInfo.location.compactMap { location in
        guard location.hasLeadingComments else { return nil }
        var kept = Google_Protobuf_SourceCodeInfo.Location()
        kept.path = location.path
        kept.leadingComments = location.leadingComments
        return kept
      }
    }
    return set
  }
}
