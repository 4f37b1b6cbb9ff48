import ArgumentParser
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Measurement
import NIOPosix

/// grpc-swift-2 over its own transport, as its users have it: one connection, one event loop at each end, no TLS. Messages
/// are bytes, so that only the runtime is measured.
@main
struct GRPCEcho: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "grpc-echo", abstract: "The calls of `chancery bench rpc`, over grpc-swift-2.",
    subcommands: [Server.self, Client.self])

  struct Server: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give back what is sent.")

    @OptionGroup var options: ServerOptions

    func run() async throws {
      let server = GRPCServer(
        transport: HTTP2ServerTransport.Posix(
          address: .ipv4(host: "127.0.0.1", port: options.port), transportSecurity: .plaintext,
          eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1)),
        services: [EchoService()])
      do {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await server.serve() }
          // Nil if it does not listen; `serve` then says why.
          let address = try? await server.transport.listeningAddress
          if let port = address?.ipv4?.port { options.serving(port: port) }
          try await group.waitForAll()
        }
      } catch {
        throw BenchError("grpc-echo cannot serve on 127.0.0.1:\(options.port): \(error)")
      }
    }
  }

  struct Client: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measure calls, and print a row for each kind.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
      let transport = try HTTP2ClientTransport.Posix(
        target: .ipv4(address: "127.0.0.1", port: options.port), transportSecurity: .plaintext,
        eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1))
      try await withGRPCClient(transport: transport) { client in
        try await EchoBenchmark(client: client, stopwatch: Stopwatch(server: options.serverPID)).run {
          try options.print($0)
        }
      }
    }
  }
}
