import ArgumentParser
import Dispatch
import DynamicMessages
import Foundation
import RPC

/// `chancery call`: any method, from its description.
struct CallCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "call",
    abstract: "Call any method, with JSON in and out.",
    discussion: """
      Replies are printed as JSON objects; fields that have their default are left out. A method that takes a stream takes
      several objects, one after another, and sends each as soon as it is complete.

      Exit code 0 for OK; any other status is printed, with exit code 2.

      Example: chancery call Jobs/List '{"pageSize": 3}'
               chancery call Metrics/Watch '{"intervalMs": 500}' --timeout 5
               chancery call Health/Check --server keykeeper
      """)

  @Argument(
    help: "SERVICE/METHOD, such as chancery.v1.Jobs/Get; 'chancery.v1.' may be left out.", completion: .methods)
  var method: String

  @Argument(help: "The request as JSON; @FILE reads a file, '-' standard input (default: {}, or - for a stream).")
  var data: String?

  @Option(name: [.customShort("H"), .long], help: "Metadata to send, as 'name: value'; may be given several times.")
  var metadata: [String] = []

  @Flag(help: "Print the metadata of the reply too, on standard error.")
  var showMetadata = false

  @Flag(help: "Print fields that have their default too.")
  var emitDefaults = false

  @OptionGroup var target: ReflectionOptions
  @OptionGroup var connection: ConnectionOptions

  @Option(name: [.customShort("o"), .long], help: "How to print replies: json, or jsonl for one line each.")
  var output = Format.json

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case json
    case jsonl
  }

  func run() async throws {
    let metadata = try requestMetadata()
    let builtIn = try SchemaTypeSet.builtIn
    let built = builtIn.resolve(method: method)
    guard built != nil || target.address != nil else {
      throw CommandFailure.unknown(
        "method", method, among: builtIn.methodNames,
        "'chancery describe' lists them; those of another program need its --address")
    }
    let server = try target.server(serving: built?.service)
    try await connection.with(server) { channel in
      var (types, found) = (builtIn, built)
      if found == nil {
        types = try await target.reflected(channel, connection)
        found = types.resolve(method: method)
      }
      guard let type = found else {
        let server = target.address ?? ""
        throw CommandFailure.unknown(
          "method", method, among: types.methodNames, "'chancery describe --address \(server)' lists them")
      }
      let call = Invocation(types: types, type: type, emitsDefaults: emitDefaults, isCompact: output == .jsonl)
      let received = ReplyMetadata()
      let timeout = type.streamsReplies ? try connection.streamTimeout : try connection.call.timeout
      let options = CallOptions(timeout: timeout, metadata: metadata, received: received)
      do {
        try await call.make(on: channel, data ?? (type.streamsRequests ? "-" : "{}"), options: options)
        show(received)
      } catch let error as RPCError {
        show(received)
        throw CommandFailure(status: error, types: types)
      }
    }
  }

  private func requestMetadata() throws -> Metadata {
    var pairs = Metadata()
    for text in metadata {
      guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
        throw CommandFailure.usage("--metadata '\(text)' is not 'name: value'")
      }
      pairs.add(text[text.index(after: colon)...].trimmingCharacters(in: .whitespaces), for: String(text[..<colon]))
    }
    return pairs
  }

  private func show(_ received: ReplyMetadata) {
    guard showMetadata else { return }
    for (kind, pairs) in [("header", received.headers), ("trailer", received.trailers)] {
      for entry in pairs.entries { StandardError.write("\(kind) \(entry.key): \(entry.value)\n") }
    }
  }
}

/// One call of a method that is known by its description.
private struct Invocation: Sendable {
  let types: SchemaTypeSet
  let type: MethodType
  let emitsDefaults: Bool
  let isCompact: Bool

  func make(on channel: any RPCChannel, _ data: String, options: CallOptions) async throws {
    let requests = try RequestSource(data)
    let method = type.descriptor
    if type.streamsRequests { return try await stream(requests, method, channel, options) }
    guard let only = try await requests.next() else { throw CommandFailure.usage("there is no request in '\(data)'") }
    let request = try bytes(only)
    if try await requests.next() != nil {
      throw CommandFailure.usage("\(type.path) takes one request, there are several")
    }
    if !type.streamsReplies {
      return try printReply(try await channel.unaryBytes(method, request, options: options))
    }
    let call = try await channel.open(method, request: request, options: options)
    defer { call.cancel() }
    while let reply = try await call.next() { try printReply(reply) }
  }

  private func stream(
    _ requests: RequestSource, _ method: MethodDescriptor, _ channel: any RPCChannel, _ options: CallOptions
  ) async throws {
    let call = try await channel.open(method, request: [], options: options)
    defer { call.cancel() }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        while let request = try await requests.next() {
          let request = try bytes(request)
          do {
            try await call.send(request)
          } catch {
            // The server has ended the call: its replies say how.
            return false
          }
        }
        call.finish()
        return false
      }
      group.addTask {
        while let reply = try await call.next() { try printReply(reply) }
        return true
      }
      // The end of the replies is the end of the call, even if there are requests left.
      while try await group.next() == false {}
      group.cancelAll()
    }
  }

  private func bytes(_ json: [UInt8]) throws -> [UInt8] {
    let value: JSONValue
    do {
      value = try JSONDecoder().decode(JSONValue.self, from: Data(json))
    } catch {
      let shown = String(decoding: json.prefix(60), as: UTF8.self)
      throw CommandFailure.usage("the request is not JSON: \(shown)\(json.count > 60 ? "..." : "")")
    }
    do {
      return try types.bytes(value, as: type.request)
    } catch {
      throw CommandFailure.usage("the request is no \(type.request): \(error)")
    }
  }

  private func printReply(_ reply: ArraySlice<UInt8>) throws {
    let json: JSONValue
    do {
      json = try types.json(reply, as: type.reply, includesDefaults: emitsDefaults)
    } catch {
      throw CommandFailure(
        code: "unreadable_reply", message: "the reply is no \(type.reply): \(error)", exitCode: .server)
    }
    StandardOutput.write(isCompact ? JSONText.line(json) : JSONText.document(json))
  }
}

/// The requests of a call, as they come in.
private actor RequestSource {
  private var splitter = JSONSplitter()
  private let reader: LineReader?
  /// Reading blocks: not on the threads that run tasks.
  private static let queue = DispatchQueue(label: "requests")

  init(_ data: String) throws {
    switch data.first {
    case "@": reader = try LineReader(path: String(data.dropFirst()))
    case "-" where data == "-": reader = try LineReader(path: "-")
    default:
      reader = nil
      splitter.append(Array(data.utf8))
    }
  }

  func next() async throws -> [UInt8]? {
    while true {
      if let object = splitter.next() { return object }
      guard let line = try await nextLine() else { return splitter.rest() }
      splitter.append(line + [UInt8(ascii: "\n")])
      guard splitter.pendingCount <= Self.maximumRequestBytes else {
        throw CommandFailure.usage("a request is longer than \(Self.maximumRequestBytes) bytes")
      }
    }
  }

  /// What fits into a message, with bytes in base64, and more.
  private static let maximumRequestBytes = 16 * 1024 * 1024

  private func nextLine() async throws -> [UInt8]? {
    guard let reader = Reading(reader) else { return nil }
    return try await withCheckedThrowingContinuation { continuation in
      Self.queue.async { continuation.resume(with: Result { try reader.reader.next()?.bytes }) }
    }
  }

  /// Unchecked: used on the one queue alone.
  private struct Reading: @unchecked Sendable {
    let reader: LineReader

    init?(_ reader: LineReader?) {
      guard let reader else { return nil }
      self.reader = reader
    }
  }
}

extension MethodType {
  /// The method for a channel.
  fileprivate var descriptor: MethodDescriptor {
    let shape: CallShape =
      switch (streamsRequests, streamsReplies) {
      case (false, false): .unary
      case (true, false): .clientStreaming
      case (false, true): .serverStreaming
      case (true, true): .bidirectional
      }
    return MethodDescriptor(
      service: service, method: name, shape: shape,
      idempotency: idempotency == 1 ? .noSideEffects : idempotency == 2 ? .idempotent : .unknown)
  }
}

extension CommandFailure {
  /// A status that is not OK.
  fileprivate init(status error: RPCError, types: SchemaTypeSet) {
    self.init(
      code: error.code.description, message: "\(error.code): \(error.message)", isRetryable: error.isRetryable,
      exitCode: .server)
    let details = error.details.map { detail in
      let name = detail.typeURL.split(separator: "/").last.map(String.init) ?? detail.typeURL
      let json = try? types.json(detail.value[...], as: name)
      return "\(name) \(json.map { JSONText.line($0).trimmingCharacters(in: .newlines) } ?? detail.value.hexText)"
    }
    if !details.isEmpty { hint = "details: " + details.joined(separator: "; ") }
  }
}
