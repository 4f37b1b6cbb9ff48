import FoundationEssentials
import RPC
import RPCTransport
import Schema

extension Examination {
  /// The coordinator.
  static func coordinator(_ connection: ConnectionOptions) -> Examination {
    service(.coordinator, serving: ChanceryV1.Jobs.serviceName, connection)
  }

  /// The KeyKeeper.
  static func keykeeper(_ connection: ConnectionOptions) -> Examination {
    service(.keykeeper, serving: ChanceryV1.Keys.serviceName, connection)
  }

  /// Logger, and its clock.
  static func logger(_ connection: ConnectionOptions) -> Examination {
    service(.logger, serving: ChanceryV1.Metrics.serviceName, connection, more: ["logger-clock"]) { channel in
      let asked = Date.now
      let metrics = try await ChanceryV1.Metrics.Client(channel).get(.init(), options: connection.call)
      return [.clock("logger-clock", microseconds: metrics.atUs, asked: asked, answered: .now)]
    }
  }

  /// Whether a service serves, and is the one that it should be.
  private static func service(
    _ service: ServiceName, serving name: String, _ connection: ConnectionOptions, more: [String] = [],
    _ further: @escaping @Sendable (any RPCChannel) async throws -> [Finding] = { _ in [] }
  ) -> Examination {
    let check = service.rawValue
    return Examination(checks: [check] + more) {
      do {
        let address = try connection.address(service)
        return try await connection.with(service) { channel in
          let options = try connection.call
          let health = try await ChanceryV1.Health.Client(channel).check(.init(), options: options)
          guard health.status == .serving else {
            return [
              Finding(
                check: check, result: .failed, seen: "\(address) is \(health.status)", remedy: "its log says why")
            ]
          }
          let services = try await ChanceryV1.Reflection.Client(channel).listServices(.init(), options: options)
            .services
          guard services.contains(name) else {
            let found = services.sorted().joined(separator: ", ")
            return [
              Finding(
                check: check, result: .failed, seen: "\(address) is another server: it serves \(found)",
                remedy: "give --\(check) the address of the \(check)")
            ]
          }
          let serves = Finding(
            check: check, result: .ok, seen: "\(address) serves \(services.count) services")
          return [serves] + (try await further(channel))
        }
      } catch let failure as CommandFailure {
        return [Finding(check: check, result: .failed, seen: failure.message, remedy: failure.hint)]
      } catch {
        return [Finding(check: check, result: .failed, seen: "\(error)", remedy: "look at its log")]
      }
    }
  }
}

extension Finding {
  /// How far another clock is from this one, as far as one answer can tell.
  static func clock(_ check: String, microseconds: Int64, asked: Date, answered: Date) -> Finding {
    let doubt = answered.timeIntervalSince(asked) / 2
    let skew = Double(microseconds) / 1_000_000 - asked.timeIntervalSince1970 - doubt
    let isFar = skew.magnitude - doubt > maximumSkew
    let seen =
      skew.magnitude <= doubt
      ? "as on this machine" : "\(skew.magnitude.text(digits: 3)) s \(skew < 0 ? "behind" : "ahead of") this machine"
    return Finding(
      check: check, result: isFar ? .warning : .ok, seen: "\(seen), give or take \(doubt.text(digits: 3)) s",
      remedy: isFar ? "have both machines keep time by NTP: timedatectl set-ntp true" : nil)
  }

  /// In seconds. Leases and signatures do not depend on it; times in logs and records do.
  private static let maximumSkew = 1.0
}
