import CoordinatorService
import KeyKeeperService
import LoggerService
import RPC
import ServiceHost
import SignerService
import TimeAndChance

// How each service is hosted: what it serves, what it does in the background, and how it stops.
extension HostContext {
  func serve(_ coordinator: Coordinator) async throws {
    try await serve(HostedService(services: coordinator.services, run: coordinator.run, drain: coordinator.drain))
  }

  func serve(_ keyKeeper: KeyKeeper) async throws {
    try await serve(
      HostedService(services: keyKeeper.services, run: keyKeeper.run, drain: keyKeeper.drain, flush: keyKeeper.drain))
  }

  func serve(_ logger: LoggerCore) async throws {
    try await serve(
      HostedService(services: logger.services, run: logger.run, drain: logger.drain, flush: logger.flush))
  }

  func serve(_ signer: Signer) async throws {
    let hasEnded = Latch()
    try await serve(
      HostedService(
        run: {
          await signer.run()
          hasEnded.open()
          // The host ends the background work of a service that has drained.
          try await Task.sleep(for: .seconds(1 << 30))
        },
        drain: {
          signer.drain()
          await hasEnded.wait()
        }))
  }
}
