import ArgumentParser
import RPC
import Schema

struct HealthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health", abstract: "Ask the services whether they serve.",
    discussion: "Exit code 0 if all do, 2 if not. Example: chancery health -o json")

  @Argument(help: "Which: coordinator, keykeeper, logger; all if none is named.") var services: [ServiceName] = []
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var rows: [HealthRow] = []
    for service in services.isEmpty ? [.coordinator, .keykeeper, .logger] : services {
      rows.append(try await check(service))
    }
    output.print(rows)
    if let sick = rows.first(where: { $0.status != "serving" }) {
      throw CommandFailure(
        code: "not_serving", message: "the \(sick.service) at \(sick.address) is not serving", isRetryable: true,
        exitCode: .server)
    }
  }

  private func check(_ service: ServiceName) async throws -> HealthRow {
    let address = try connection.address(service)
    do {
      let response = try await connection.with(service) { channel in
        try await ChanceryV1.Health.Client(channel).check(.init(), options: connection.call)
      }
      return HealthRow(service: service.rawValue, address: address, status: "\(response.status)")
    } catch let failure as CommandFailure where failure.exitCode != .validationFailure {
      return HealthRow(service: service.rawValue, address: address, status: "unreachable", message: failure.message)
    } catch let error where !(error is CommandFailure) {
      return HealthRow(service: service.rawValue, address: address, status: "unknown", message: "\(error)")
    }
  }
}

extension ServiceName: ExpressibleByArgument {}

private struct HealthRow: TableRow {
  var service: String
  var address: String
  var status: String
  var message: String?

  static let columns = [
    TableColumn("SERVICE"), TableColumn("ADDRESS"), TableColumn("STATUS", isState: true), TableColumn("MESSAGE"),
  ]
  var resourceName: String { "service/\(service)" }

  var cells: [String] { [service, address, status, message ?? ""] }
}
