import ArgumentParser
import RPC
import RPCTransport
import Schema

/// Where the services are, for commands that call them.
struct ConnectionOptions: ParsableArguments {
  @OptionGroup var context: ContextOptions

  @Option(help: "Coordinator's address (CHANCERY_COORDINATOR; default \(Setting.coordinator.standard!)).")
  var coordinator: String?

  @Option(help: "KeyKeeper's address (CHANCERY_KEYKEEPER; default \(Setting.keykeeper.standard!)).")
  var keykeeper: String?

  @Option(help: "Logger's address (CHANCERY_LOGGER; default \(Setting.logger.standard!)).")
  var logger: String?

  @Option(
    help:
      "Seconds after which a call fails (CHANCERY_TIMEOUT; default 30; streams of replies have no limit of their own).")
  var timeout: String?

  @OptionGroup(title: "TLS") var tls: TLSOptions

  func validate() throws {
    guard let timeout else { return }
    do {
      try Setting.timeout.check(timeout)
    } catch let failure as CommandFailure {
      throw ValidationError(failure.message)
    }
  }

  /// Options of a call with one reply.
  var call: CallOptions {
    get throws { CallOptions(timeout: .seconds(try Setting.timeout(try value(.timeout) ?? ""))) }
  }

  /// The time limit of a call with a stream of replies, if one was asked for.
  var streamTimeout: Duration? {
    get throws {
      guard let timeout = try resolve(.timeout), timeout.origin != .standard else { return nil }
      return .seconds(try Setting.timeout(timeout.value))
    }
  }

  /// What a setting is, and why.
  func resolve(_ setting: Setting) throws -> ResolvedSetting? {
    let flag =
      switch setting {
      case .coordinator: coordinator
      case .keykeeper: keykeeper
      case .logger: logger
      case .timeout: timeout
      case .tlsCert: tls.tlsCert
      case .tlsKey: tls.tlsKey
      case .tlsCa: tls.tlsCa
      case .databaseURL: String?.none
      }
    return Settings.resolve(setting, flag: flag, context: try context.selected())
  }

  private func value(_ setting: Setting) throws -> String? { try resolve(setting)?.value }
}

/// A service to call.
enum ServiceName: String, CaseIterable {
  case coordinator
  case keykeeper
  case logger
}

/// A server to call.
enum CallTarget {
  case service(ServiceName)
  case address(String)

  /// What messages call it.
  var name: String {
    switch self {
    case .service(let service): service.rawValue
    case .address: "server"
    }
  }
}

extension ConnectionOptions {
  /// The address of a server.
  func address(_ target: CallTarget) throws -> String {
    switch target {
    case .service(let service): try address(service)
    case .address(let address): address
    }
  }

  /// The address of a service.
  func address(_ service: ServiceName) throws -> String {
    let setting: Setting =
      switch service {
      case .coordinator: .coordinator
      case .keykeeper: .keykeeper
      case .logger: .logger
      }
    // Each has a default.
    return try resolve(setting)!.value
  }

  /// Lends a connection to a service.
  func with<Value>(
    _ service: ServiceName, _ body: (any RPCChannel) async throws -> Value
  ) async throws -> Value { try await with(.service(service), body) }

  /// Lends a connection to a server.
  func with<Value>(
    _ target: CallTarget, _ body: (any RPCChannel) async throws -> Value
  ) async throws -> Value {
    let address = try address(target)
    let credentials = try tlsFiles(forServerAt: address).map { try TLSCredentials(reading: $0) }
    return try await Connection.with(address, service: target.name, tls: credentials, body)
  }

  /// The certificates to show to a server: those that are given, else those that `dev` has made for the commands of its
  /// user.
  func tlsFiles(forServerAt address: String) throws -> TLSFiles? {
    try tls.files(try context.selected()) ?? ClusterDescription.running(at: address)?.tlsFiles
  }
}

/// Connects to one address for as long as a closure runs.
enum Connection {
  /// Lends a channel; failures of calls become failures of the command that name the service.
  static func with<Value>(
    _ address: String, service: String, tls: TLSCredentials? = nil, _ body: (any RPCChannel) async throws -> Value
  ) async throws -> Value {
    let endpoint: Endpoint
    do {
      endpoint = try Endpoint(parsing: address)
    } catch {
      throw CommandFailure.usage("\(service): \(error)")
    }
    do {
      return try await lending([endpoint], tls: tls, body)
    } catch let error as RPCError {
      throw CommandFailure(error, calling: "the \(service) at \(endpoint)")
    }
  }

  /// Lends a channel to the first of some servers that answers; failures stay as they are.
  static func lending<Value>(
    _ endpoints: [Endpoint], tls: TLSCredentials? = nil, _ body: (any RPCChannel) async throws -> Value
  ) async throws -> Value {
    let loops = EventLoops(threads: 1)
    let channel = ClientChannel(
      connectors: endpoints.map { TCPConnector(endpoint: $0, loops: loops, tls: tls) })
    let running = Task { await channel.run() }
    let result: Result<Value, any Error>
    do {
      result = .success(try await CallScope.$current.withValue(CommandTrace.scope) { try await body(channel) })
    } catch {
      result = .failure(error)
    }
    running.cancel()
    await running.value
    await loops.shutdown()
    return try result.get()
  }
}
