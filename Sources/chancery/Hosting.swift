import CoordinatorService
import KeyKeeperService
import LoggerService
import PostgresStorage
import RPC
import RedisDriver
import Schema
import ServiceHost
import SignerService
import TimeAndChance

// How each service is hosted: what it serves and needs, what it does in the background, and how it stops.
extension HostContext {
  func serve(_ coordinator: Coordinator, needs: [ReadinessCheck] = []) async throws {
    try await serve(
      HostedService(
        services: coordinator.services, needs: needs, metrics: Coordinator.metrics,
        run: {
          async let watch: Void = coordinator.watchBacklog()
          await coordinator.run()
          await watch
        }, drain: coordinator.drain))
  }

  func serve(_ keyKeeper: KeyKeeper, needs: [ReadinessCheck] = []) async throws {
    try await serve(
      HostedService(
        services: keyKeeper.services, needs: needs, metrics: KeyKeeper.metrics,
        run: {
          async let watch: Void = keyKeeper.watchKeys()
          await keyKeeper.run()
          await watch
        }, drain: keyKeeper.drain, flush: keyKeeper.drain))
  }

  func serve(_ logger: LoggerCore, needs: [ReadinessCheck] = []) async throws {
    try await serve(
      HostedService(
        services: logger.services, needs: needs, metrics: LoggerCore.metrics, run: logger.run, drain: logger.drain,
        flush: logger.flush))
  }

  func serve(_ signer: Signer, needs: [ReadinessCheck] = []) async throws {
    let hasEnded = Latch()
    try await serve(
      HostedService(
        needs: needs, metrics: Signer.metrics,
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

// What services need, as probes name it.
extension ReadinessCheck {
  /// The primary answers and takes changes.
  static func database(_ database: PostgresDatabase) -> ReadinessCheck {
    ReadinessCheck("database") { try await database.checkPrimary(limit: timeout) }
  }

  /// Redis answers, and is not loading its data.
  static func redis(_ pool: RedisPool) -> ReadinessCheck {
    ReadinessCheck("redis") {
      _ = try await pool.command(["PING"], isIdempotent: true, deadline: .now + timeout)
    }
  }

  /// One at least of the servers behind `channels` takes calls.
  static func server(_ name: String, anyOf channels: [any RPCChannel]) -> ReadinessCheck {
    ReadinessCheck(name) {
      var reasons: [String] = []
      for channel in channels {
        do throws(RPCError) {
          let options = CallOptions(timeout: timeout / channels.count)
          let reply = try await ChanceryV1.Health.Client(channel).check(.init(), options: options)
          if reply.status == .serving { return }
          reasons.append("it takes no calls")
        } catch {
          reasons.append("\(error)")
        }
      }
      throw NoneServes(description: reasons.joined(separator: "; "))
    }
  }

  private struct NoneServes: Error, CustomStringConvertible {
    /// Why, for each of the servers.
    let description: String
  }
}
