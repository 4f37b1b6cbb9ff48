import Foundation
import RPC
import RPCMemory
import RPCTestSupport
import ServiceHost
import Testing
import TimeAndChance

/// Every method of every .proto file, called by every identity: whoever is not meant to call it is refused.
@Suite struct AccessTableTests {
  /// Who may call a service, written down once more.
  private static let callers: [String: Set<String>] = [
    "chancery.v1.Batches": ["signer"],
    "chancery.v1.Leases": ["signer"],
    "chancery.v1.Telemetry": ["signer", "coordinator", "keykeeper", "logger"],
    "chancery.v1.Jobs": ["operator"],
    "chancery.v1.Records": ["operator"],
    "chancery.v1.Keys": ["operator"],
    "chancery.v1.Metrics": ["operator"],
    "chancery.v1.Logs": ["operator"],
    "chancery.v1.Health": ["signer", "coordinator", "keykeeper", "logger", "operator", "stranger"],
    "chancery.v1.Reflection": ["signer", "coordinator", "keykeeper", "logger", "operator", "stranger"],
  ]

  private static let identities = ["signer", "coordinator", "keykeeper", "logger", "operator", "stranger"]

  /// The methods of the .proto files, all as if they took one request and gave one reply.
  private static func methods() throws -> [MethodDescriptor] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Protos/chancery/v1")
    var methods: [MethodDescriptor] = []
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
      var service = ""
      for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
        let words = line.split(whereSeparator: { " ({".contains($0) })
        if words.first == "service" { service = "chancery.v1.\(words[1])" }
        if words.first == "rpc" {
          methods.append(MethodDescriptor(service: service, method: String(words[1]), shape: .unary))
        }
      }
    }
    return methods
  }

  @Test func everyMethodIsClosedToEveryWrongIdentity() throws {
    let methods = try Self.methods()
    #expect(methods.count >= 25 && Set(methods.map(\.service)) == Set(Self.callers.keys))
    let simulation = Simulation()
    try simulation.run {
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      let service = TestService(methods.map { .unary($0) { (request: TestMessage, _) in request } })
      let router = RPCRouter(services: [service], access: AccessTable.policy) { _, _ in }
      let server = network.serve(router, as: "server")
      for identity in Self.identities {
        // In memory, peers are known by the names of their ends.
        let connector = network.connector(from: AccessTable.identity(identity), to: "server")
        let channel = SingleConnectionChannel(try await connector.connect())
        for method in methods {
          let isAllowed = Self.callers[method.service]?.contains(identity) == true
          let outcome: StatusCode
          do throws(RPCError) {
            let _: TestMessage = try await channel.unary(method, TestMessage("x"), options: CallOptions())
            outcome = .ok
          } catch {
            outcome = error.code
            #expect(error.message == "spiffe://chancery/\(identity) may not call \(method.path)")
          }
          #expect(outcome == (isAllowed ? .ok : .permissionDenied), "\(identity) calls \(method.path)")
        }
        channel.connection.close()
      }
      server.drain()
      await server.ended.wait()
    }
  }
}
