import Glibc
import Logging
import RPC
import RPCTransport
import Synchronization
import Telemetry
import TimeAndChance

/// The stage of a process that takes calls, and the first to stop.
final class Server: Sendable {
  /// Opened when the stop begins.
  let stopping = Latch()
  private let names: [String]
  private let service: HostedService
  private let host: HostContext
  private let server: TCPServer
  private let listening = Mutex<Endpoint?>(nil)

  init(router: RPCRouter, service: HostedService, host: HostContext) {
    self.service = service
    self.host = host
    names = router.serviceNames
    var limits = TCPServer.Limits()
    limits.drainTimeout = host.configuration.callTimeout
    limits.connection.keepalive = Self.keepalive
    server = TCPServer(
      router: router, loops: host.loops, clock: host.clock, limits: limits, tls: host.configuration.tls
    ) { [registry = host.registry] address, reason in
      registry.count("chancery_tls_handshakes_failed_total")
      registry.event(.warning, "tls.handshake_failed", "no TLS with \(address): \(reason)", ["peer": address])
    }
  }

  /// A client that is gone without a word must not keep its calls.
  private static let keepalive = Keepalive(interval: .seconds(30), timeout: .seconds(20))

  /// Where it listens.
  var address: Endpoint? { listening.withLock { $0 } }

  /// Starts to listen, if the process is to.
  func listen() async throws(ListenError) {
    guard let endpoint = host.configuration.listen else { return }
    let address = try await server.listen(at: endpoint)
    listening.withLock { $0 = address }
  }

  /// Announces the service, and takes it down in order when `stop` opens.
  func run(until stop: Latch) async {
    for name in names where host.health.status(of: name) == nil { host.health.set(.serving, for: name) }
    host.health.set(.serving)
    host.hasStarted.open()
    host.registry.event(
      .info, "service.started", "ready",
      [
        "address": address?.description ?? "-", "admin": host.admin.withLock { $0 }?.description ?? "-",
      ])
    announce()
    await stop.wait()
    stopping.open()
    host.registry.event(.info, "service.stopping", "draining", [:])
    host.health.stop()
    await service.drain()
    host.health.endWatches()
    await server.shutdown()
    await service.flush()
  }

  private func announce() {
    host.configuration.onReady?(address, host.admin.withLock { $0 })
    guard let descriptor = host.configuration.readyDescriptor else { return }
    let line = Array("READY \(address?.description ?? "-")\n".utf8)
    // Shorter than a pipe's buffer, so it is written whole or not at all.
    if write(descriptor, line, line.count) != line.count {
      let reason = String(cString: strerror(errno))
      host.logger.warning("nobody was told that the service is ready: \(reason)", metadata: ["fd": "\(descriptor)"])
    }
    if descriptor > STDERR_FILENO { close(descriptor) }
  }
}
