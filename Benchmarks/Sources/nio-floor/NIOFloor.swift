import ArgumentParser
import Measurement
import NIOCore
import NIOPosix

/// The ttrpc wire on SwiftNIO with nothing around it: no limits, deadlines, states or errors, only what a call with one
/// reply cannot do without. What an RPC runtime costs is what it is slower than this.
@main
struct NIOFloor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nio-floor", abstract: "The least that a call over SwiftNIO costs.",
    subcommands: [Server.self, Client.self])

  struct Server: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give back what is sent.")

    @OptionGroup var options: ServerOptions

    func run() async throws {
      let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      let executor = LoopExecutor(group.next())
      let channel: any Channel
      do {
        channel = try await ServerBootstrap(group: group)
          .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
          .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
          .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
              try channel.pipeline.syncOperations.addHandlers([
                ByteToMessageHandler(FrameDecoder()), EchoHandler(executor: executor),
              ])
            }
          }
          .bind(host: "127.0.0.1", port: options.port).get()
      } catch {
        throw BenchError("nio-floor cannot listen on 127.0.0.1:\(options.port): \(error)")
      }
      options.serving(port: channel.localAddress?.port ?? options.port)
      try await channel.closeFuture.get()
    }
  }

  struct Client: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measure calls, and print a row for each kind.")

    @OptionGroup var options: ClientOptions

    @Flag(help: "Call from Swift's shared threads, with a hop there and back, not from the thread of the connection.")
    var hops = false

    func run() async throws {
      let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      let loop = group.next()
      let connection: NIOLoopBound<CallHandler>
      do {
        connection = try await ClientBootstrap(group: group)
          .channelOption(.tcpOption(.tcp_nodelay), value: 1)
          .connect(host: "127.0.0.1", port: options.port) { channel in
            channel.eventLoop.makeCompletedFuture {
              let calls = CallHandler()
              try channel.pipeline.syncOperations.addHandlers([ByteToMessageHandler(FrameDecoder()), calls])
              return NIOLoopBound(calls, eventLoop: channel.eventLoop)
            }
          }
      } catch {
        throw BenchError("nio-floor cannot connect to 127.0.0.1:\(options.port): \(error)")
      }
      try await withTaskExecutorPreference(hops ? nil : LoopExecutor(loop)) { try await measure(connection, loop) }
      try await group.shutdownGracefully()
    }

    private func measure(_ connection: NIOLoopBound<CallHandler>, _ loop: any EventLoop) async throws {
      let stopwatch = Stopwatch(server: options.serverPID)
      let message = ByteBuffer(repeating: 42, count: 100)
      let call = { @Sendable in
        let envelope = try await withCheckedThrowingContinuation { caller in
          if loop.inEventLoop {
            connection.value.send(message, caller)
          } else {
            loop.execute { connection.value.send(message, caller) }
          }
        }
        guard try Response.payload(of: envelope).readableBytes == message.readableBytes else {
          throw BenchError("nio-floor: the reply is not what was sent")
        }
      }
      _ = try await stopwatch.timeUnary(inFlight: 1, count: 500, call)
      try options.print(try await stopwatch.timeUnary(inFlight: 1, count: 20_000, call))
      try options.print(try await stopwatch.timeUnary(inFlight: 64, count: 100_000, call))
    }
  }
}
