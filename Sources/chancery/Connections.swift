import ArgumentParser
import RPC
import RPCTransport
import Schema

/// Where the services are, for commands that call them.
struct ConnectionOptions: ParsableArguments {
  @Option(help: "Coordinator's address (CHANCERY_COORDINATOR; default \(Settings.coordinator)).")
  var coordinator: String?

  @Option(help: "KeyKeeper's address (CHANCERY_KEYKEEPER; default \(Settings.keykeeper)).")
  var keykeeper: String?

  @Option(help: "Logger's address (CHANCERY_LOGGER; default \(Settings.logger)).")
  var logger: String?

  @Option(help: "Seconds after which a call fails (default: 30; streams of replies have no limit).")
  var timeout: Double?

  @OptionGroup(title: "TLS") var tls: TLSOptions

  func validate() throws {
    if let timeout, !(timeout > 0 && timeout <= 86_400) {
      throw ValidationError("--timeout \(timeout) is not between 0 and 86400 seconds")
    }
  }

  /// Options of a call with one reply.
  var call: CallOptions { CallOptions(timeout: .seconds(timeout ?? 30)) }
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
  func address(_ target: CallTarget) -> String {
    switch target {
    case .service(let service): address(service)
    case .address(let address): address
    }
  }

  /// The address of a service.
  func address(_ service: ServiceName) -> String {
    switch service {
    case .coordinator: Settings.value(coordinator, variable: "CHANCERY_COORDINATOR") ?? Settings.coordinator
    case .keykeeper: Settings.value(keykeeper, variable: "CHANCERY_KEYKEEPER") ?? Settings.keykeeper
    case .logger: Settings.value(logger, variable: "CHANCERY_LOGGER") ?? Settings.logger
    }
  }

  /// Lends a connection to a service.
  func with<Value>(
    _ service: ServiceName, _ body: (any RPCChannel) async throws -> Value
  ) async throws -> Value { try await with(.service(service), body) }

  /// Lends a connection to a server.
  func with<Value>(
    _ target: CallTarget, _ body: (any RPCChannel) async throws -> Value
  ) async throws -> Value {
    let address = address(target)
    let credentials = try tls.credentials() ?? Self.credentials(ofClusterAt: address)
    return try await Connection.with(address, service: target.name, tls: credentials, body)
  }

  /// Those that `dev` has made for the commands of its user.
  private static func credentials(ofClusterAt address: String) throws -> TLSCredentials? {
    guard let tls = ClusterDescription.running(at: address)?.tls else { return nil }
    return try TLSCredentials(
      reading: TLSFiles(certificate: tls.certificate, key: tls.key, authority: tls.authority))
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
      result = .success(try await body(channel))
    } catch {
      result = .failure(error)
    }
    running.cancel()
    await running.value
    await loops.shutdown()
    return try result.get()
  }
}
