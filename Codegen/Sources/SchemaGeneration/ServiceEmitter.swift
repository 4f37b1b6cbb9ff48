/// Writes a service's method descriptors, server protocol and client.
struct ServiceEmitter {
  let service: SchemaService

  func emit(to lines: inout Lines) {
    lines.space()
    lines.block("extension \(service.scope)") { lines in
      lines.doc(service.comment, or: "Service `\(service.fullName)`.")
      lines.block("public enum \(service.name)") { lines in
        emitDescriptors(to: &lines)
        emitServer(to: &lines)
        emitClient(to: &lines)
      }
    }
    emitHandlers(to: &lines)
  }

  private func emitDescriptors(to lines: inout Lines) {
    lines.add("/// The full name of the service.")
    lines.add("public static let serviceName = \"\(service.fullName)\"")
    lines.space()
    for method in service.methods {
      lines.add("/// Describes method `\(method.protoName)`.")
      lines.add(
        "public static let \(method.name) = MethodDescriptor(service: serviceName, method: \"\(method.protoName)\", "
          + "shape: .\(method.shape.rawValue), idempotency: .\(method.idempotency))")
    }
    lines.space()
    lines.add("/// Describes all methods, in the order of the schema.")
    lines.add(
      "public static let methods: [MethodDescriptor] = [\(service.methods.map(\.name).joined(separator: ", "))]")
  }

  // MARK: Server

  private func emitServer(to lines: inout Lines) {
    lines.space()
    lines.doc(service.comment, or: "Service `\(service.fullName)`.")
    lines.add("///", "/// To be implemented by a server.")
    lines.block("public protocol Service: RPCService") { lines in
      for method in service.methods {
        lines.space()
        lines.doc(method.comment, or: "Method `\(method.protoName)`.")
        lines.add("func \(method.name)(\(serverParameters(method))) async throws\(serverResult(method))")
      }
    }
  }

  private func serverParameters(_ method: SchemaMethod) -> String {
    let context = "context: ServerContext"
    return switch method.shape {
    case .unary: "_ request: \(method.request), \(context)"
    case .clientStreaming: "_ requests: RPCReader<\(method.request)>, \(context)"
    case .serverStreaming: "_ request: \(method.request), replies: RPCWriter<\(method.reply)>, \(context)"
    case .bidirectional: "_ requests: RPCReader<\(method.request)>, replies: RPCWriter<\(method.reply)>, \(context)"
    }
  }

  private func serverResult(_ method: SchemaMethod) -> String {
    switch method.shape {
    case .unary, .clientStreaming: " -> \(method.reply)"
    case .serverStreaming, .bidirectional: ""
    }
  }

  private func emitHandlers(to lines: inout Lines) {
    lines.space()
    lines.block("extension \(service.swiftType).Service") { lines in
      lines.add("/// One handler for each method, which calls the function of the same name.")
      lines.block("public var methodHandlers: [MethodHandler]") { lines in
        lines.add("[")
        for method in service.methods {
          let arguments =
            switch method.shape {
            case .unary, .clientStreaming: "$0, context: $1"
            case .serverStreaming, .bidirectional: "$0, replies: $1, context: $2"
            }
          let descriptor = "\(service.swiftType).\(method.name)"
          lines.add("  .\(method.shape.rawValue)(\(descriptor)) { try await self.\(method.name)(\(arguments)) },")
        }
        lines.add("]")
      }
    }
  }

  // MARK: Client

  private func emitClient(to lines: inout Lines) {
    lines.space()
    lines.doc(service.comment, or: "Service `\(service.fullName)`.")
    lines.add("///", "/// The client's side.")
    lines.block("public struct Client: Sendable") { lines in
      lines.add("/// Carries the calls.")
      lines.add("public let channel: any RPCChannel")
      lines.space()
      lines.add("/// A client whose calls go through `channel`.")
      lines.block("public init(_ channel: any RPCChannel)") { $0.add("self.channel = channel") }
      for method in service.methods {
        lines.space()
        lines.doc(method.comment, or: "Method `\(method.protoName)`.")
        lines.block("public func \(clientSignature(method))") { lines in
          lines.add("try await channel.\(method.shape.rawValue)(\(clientArguments(method)))")
        }
      }
    }
  }

  private func clientSignature(_ method: SchemaMethod) -> String {
    let options = "options: CallOptions = CallOptions()"
    let writer = "RPCWriter<\(method.request)>"
    let reader = "RPCReader<\(method.reply)>"
    return switch method.shape {
    case .unary:
      "\(method.name)(_ request: \(method.request), \(options)) async throws(RPCError) -> \(method.reply)"
    case .clientStreaming:
      "\(method.name)(\(options), _ body: (\(writer)) async throws -> Void) async throws -> \(method.reply)"
    case .serverStreaming:
      "\(method.name)<Result>(_ request: \(method.request), \(options), "
        + "_ body: (\(reader)) async throws -> Result) async throws -> Result"
    case .bidirectional:
      "\(method.name)<Result>(\(options), _ body: (\(writer), \(reader)) async throws -> Result) "
        + "async throws -> Result"
    }
  }

  private func clientArguments(_ method: SchemaMethod) -> String {
    let descriptor = "\(service.swiftType).\(method.name)"
    return switch method.shape {
    case .unary: "\(descriptor), request, options: options"
    case .clientStreaming, .bidirectional: "\(descriptor), options: options, body"
    case .serverStreaming: "\(descriptor), request, options: options, body"
    }
  }
}
