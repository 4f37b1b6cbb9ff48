import ArgumentParser
import Domain
import DynamicMessages
import RPC
import Schema

/// Which server to ask, and whose schema to use.
struct ReflectionOptions: ParsableArguments {
  @Option(help: "The server, where several serve the method: coordinator, keykeeper or logger.")
  var server: ServiceName?

  @Option(help: "Another server's address; methods that this program does not know are looked up there.")
  var address: String?

  func validate() throws {
    if server != nil, address != nil { throw ValidationError("--server and --address exclude each other") }
  }

  /// The server that is chosen, or else that of a service.
  func server(serving service: String?) throws -> CallTarget {
    if let address { return .address(address) }
    if let server { return .service(server) }
    guard let server = service.flatMap(ServiceName.init(serving:)) else {
      throw CommandFailure.usage("several servers serve \(service ?? "it"); choose one with --server")
    }
    return .service(server)
  }

  /// The schema of a server.
  func reflected(_ channel: any RPCChannel, _ connection: ConnectionOptions) async throws -> SchemaTypeSet {
    let client = ChanceryV1.Reflection.Client(channel)
    let reply = try await client.getDescriptors(.init(), options: connection.call)
    do {
      return try SchemaTypeSet(fileDescriptorSet: reply.fileDescriptorSet)
    } catch {
      throw CommandFailure(
        code: "unreadable_reply", message: "the server's schema cannot be read: \(error)", exitCode: .server)
    }
  }
}

extension ServiceName {
  /// The server of a service; nil if every server has it, or none.
  init?(serving service: String) {
    switch service {
    case ChanceryV1.Jobs.serviceName, ChanceryV1.Records.serviceName, ChanceryV1.Batches.serviceName:
      self = .coordinator
    case ChanceryV1.Keys.serviceName, ChanceryV1.Leases.serviceName: self = .keykeeper
    case ChanceryV1.Metrics.serviceName, ChanceryV1.Telemetry.serviceName: self = .logger
    default: return nil
    }
  }
}

extension SchemaTypeSet {
  static let defaultPackage = "chancery.v1."

  /// The schema that this program was compiled with.
  static var builtIn: SchemaTypeSet {
    get throws { try SchemaTypeSet(fileDescriptorSet: SchemaDescriptors.fileDescriptorSet) }
  }

  /// The methods, without the package.
  var methodNames: [String] { services.flatMap { $0.methods.map { $0.path.withoutPackage } } }

  /// The services, methods and types, without the package.
  var names: [String] { services.map { $0.name.withoutPackage } + methodNames + typeNames.map(\.withoutPackage) }

  /// A method by its path, with or without the package.
  func resolve(method path: String) -> MethodType? { method(path) ?? method(Self.defaultPackage + path) }

  /// The full name of what has this name, with or without the package.
  func resolve(_ name: String) -> String? {
    [name, Self.defaultPackage + name].first { text(of: $0) != nil }
  }
}

extension CommandFailure {
  /// A name that is none of `names`: says which of them may be meant, and how to see all.
  static func unknown(_ kind: String, _ name: String, among names: [String], _ hint: String) -> CommandFailure {
    CommandFailure(
      code: "usage", message: "there is no \(kind) '\(name)'", hint: names.suggestion(for: name) + hint,
      exitCode: .validationFailure)
  }
}

/// `chancery services`: what servers serve.
struct ServicesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "services",
    abstract: "List the RPC services that servers serve, by asking them.",
    discussion: "Example: chancery services --server keykeeper")

  @OptionGroup var target: ReflectionOptions
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var targets: [CallTarget] = [.coordinator, .keykeeper, .logger].map { .service($0) }
    if let server = target.server { targets = [.service(server)] }
    if let address = target.address { targets = [.address(address)] }
    var rows: [ServiceRow] = []
    for target in targets {
      let address = try connection.address(target)
      let reply = try await connection.with(target) { channel in
        try await ChanceryV1.Reflection.Client(channel).listServices(.init(), options: connection.call)
      }
      let methods = try SchemaTypeSet.builtIn
      rows += reply.services.map { name in
        ServiceRow(
          server: target.name, address: address, service: name,
          methods: methods.service(name)?.methods.map(\.name) ?? [])
      }
    }
    output.print(rows)
  }
}

private struct ServiceRow: TableRow {
  var server: String
  var address: String
  var service: String
  var methods: [String]

  static let columns = [
    TableColumn("SERVER"), TableColumn("ADDRESS"), TableColumn("SERVICE"), TableColumn("METHODS"),
  ]
  var resourceName: String { "service/\(service)" }

  var cells: [String] { [server, address, service, methods.joined(separator: ",")] }
}

/// `chancery describe`: what services, methods and messages are.
struct DescribeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "describe",
    abstract: "Describe RPC services, methods and messages.",
    discussion: """
      Without a name, all that there are. The descriptions are those that this program was compiled with, or those of the
      server at --address or --server.

      Example: chancery describe Jobs/Submit
      """)

  @Argument(
    help: "A service, method (SERVICE/METHOD), message or enum; 'chancery.v1.' may be left out.", completion: .described
  )
  var name: String?

  @OptionGroup var target: ReflectionOptions
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let types = try await types()
    guard let name else { return output.print(Self.overview(types)) }
    guard let found = types.resolve(name), let text = types.text(of: found) else {
      throw CommandFailure.unknown(
        "service, method or type", name, among: types.names, "'chancery describe' without a name lists all")
    }
    output.print(Description(name: found, definition: text), name: found, text: text)
  }

  private func types() async throws -> SchemaTypeSet {
    let server: CallTarget
    if let address = target.address {
      server = .address(address)
    } else if let service = target.server {
      server = .service(service)
    } else {
      return try SchemaTypeSet.builtIn
    }
    return try await connection.with(server) { channel in try await target.reflected(channel, connection) }
  }

  private static func overview(_ types: SchemaTypeSet) -> [OverviewRow] {
    let methods = types.services.flatMap { service in
      service.methods.map { OverviewRow(kind: "method", name: $0.path, summary: $0.comment.summary) }
    }
    return types.services.map { OverviewRow(kind: "service", name: $0.name, summary: $0.comment.summary) } + methods
      + types.typeNames.map { name in
        OverviewRow(
          kind: types.message(name) == nil ? "enum" : "message", name: name,
          summary: (types.message(name)?.comment ?? types.enumeration(name)?.comment ?? "").summary)
      }
  }

  private struct Description: Encodable {
    var name: String
    var definition: String
  }
}

extension String {
  fileprivate var withoutPackage: String {
    hasPrefix(SchemaTypeSet.defaultPackage) ? String(dropFirst(SchemaTypeSet.defaultPackage.count)) : self
  }

  /// The first sentence of a comment, on one line.
  fileprivate var summary: String {
    let words = split(whereSeparator: \.isWhitespace).joined(separator: " ")
    guard let end = words.firstRange(of: ". ") else { return words }
    return String(words[..<end.lowerBound]) + "."
  }
}

private struct OverviewRow: TableRow {
  var kind: String
  var name: String
  var summary: String

  static let columns = [TableColumn("KIND"), TableColumn("NAME"), TableColumn("SUMMARY")]
  var resourceName: String { "\(kind)/\(name)" }

  var cells: [String] { [kind, name, summary] }
}
