import Foundation
import Testing

// Proves that `chancery call` makes calls of all four shapes from their descriptions, with metadata, deadlines and the exit
// codes of the manual, and that `services` and `describe` tell the truth about the servers.
@Suite("Any method can be called")
struct CallTests {
  /// Runs a command as a signer does, whom other methods are open to than to an operator.
  private func runAsSigner(_ cluster: DevCluster, _ arguments: String..., input: String = "") async throws
    -> Program.Outcome
  {
    let folder = cluster.directory.appending(path: "tls").path
    return try await cluster.run(
      arguments + [
        "--tls-cert", "\(folder)/signer.crt", "--tls-key", "\(folder)/signer.key", "--tls-ca", "\(folder)/ca.crt",
      ], input: input)
  }

  @Test func oneRequestOneReply() async throws {
    let cluster = try await DevCluster.shared.value
    let keys = try await cluster.json("keys", "generate", "--count", "2", "--label", "by hand")
    let id = "\(try #require(keys[1]["key_id"].number))"
    for method in ["Keys/Get", "/chancery.v1.Keys/Get", "chancery.v1.Keys.Get"] {
      let key = try await cluster.json("call", method, #"{"key_id":"\#(id)"}"#)
      #expect(key["label"].text == "by hand" && key["state"].text == "KEY_STATE_ACTIVE", "\(method)")
      #expect(key["epoch"].value == nil)
    }
    let all = try await cluster.json("call", "Keys/Get", #"{"keyId":\#(id)}"#, "--emit-defaults")
    #expect(all["epoch"].text == "0")
    // From standard input and a file, over several lines.
    let request = "{\n  \"keyId\":\n\"\(id)\"\n}"
    #expect(try await cluster.json("call", "Keys/Get", "-", input: request)["keyId"].text == id)
    let folder = try Folder()
    defer { folder.remove() }
    let file = try folder.write(request, to: "request.json")
    #expect(try await cluster.json("call", "Keys/Get", "@\(file)")["keyId"].text == id)
  }

  @Test func aStreamOfReplies() async throws {
    let cluster = try await DevCluster.shared.value
    let outcome = try await cluster.run(
      "call", "Metrics/Watch", #"{"intervalMs":100}"#, "--timeout", "1", "-o", "jsonl")
    #expect(outcome.status == 2 && outcome.errors.contains("DEADLINE_EXCEEDED"))
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count >= 3 && lines.allSatisfy { $0.hasPrefix("{\"") })
  }

  @Test func aStreamOfRequests() async throws {
    let cluster = try await DevCluster.shared.value
    let reports =
      #"{"instance":{"service":"test","name":"by hand","incarnation":"\#(UUID().uuidString)"}} {"eventsDropped":3}"#
    let outcome = try await runAsSigner(cluster, "call", "Telemetry/Report", "-o", "jsonl", input: reports)
    #expect(outcome.status == 0 && outcome.output == "{\"reports\":\"2\"}\n", "\(outcome.errors)")
    // The server ends the call at the first, and says why.
    let refused = try await runAsSigner(cluster, "call", "Telemetry/Report", "{} {} {}")
    #expect(refused.status == 2 && refused.errors.contains("INVALID_ARGUMENT"), "\(refused.errors)")
  }

  @Test func streamsBothWays() async throws {
    let cluster = try await DevCluster.shared.value
    let hello =
      #"{"hello":{"signerId":"\#(UUID().uuidString)","name":"by hand","algorithms":["ALGORITHM_RSA_PSS_2048"]}}"#
    let outcome = try await runAsSigner(cluster, "call", "Batches/Work", input: hello + "{\"drain\":{}}")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let refused = try await runAsSigner(cluster, "call", "Batches/Work", #"{"hello":{"signerId":"nobody"}}"#)
    #expect(refused.status == 2 && refused.errors.contains("INVALID_ARGUMENT"), "\(refused.errors)")
  }

  @Test func metadataAndStatus() async throws {
    let cluster = try await DevCluster.shared.value
    let missing = try await cluster.run("call", "Keys/Get", #"{"keyId":"999999"}"#, "-o", "json")
    let error = try JSONSerialization.jsonObject(with: Data(missing.errors.utf8)) as? [String: Any]
    #expect(missing.status == 2 && missing.output.isEmpty)
    #expect(error?["code"] as? String == "NOT_FOUND" && error?["retryable"] as? Bool == false)
    let forbidden = try await cluster.run("call", "Leases/Acquire")
    #expect(forbidden.status == 2 && forbidden.errors.contains("PERMISSION_DENIED"))
    for bad in ["no colon", ": no name", "UP per: x"] {
      let outcome = try await cluster.run("call", "Keys/List", "-H", bad)
      #expect(outcome.status != 0 && !outcome.errors.isEmpty, "\(bad)")
    }
    let traced = try await cluster.run(
      "call", "Health/Check", "--server", "logger", "--show-metadata", "-H",
      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    #expect(traced.status == 0, "\(traced.errors)")
  }

  @Test func serversTellWhatTheyServe() async throws {
    let cluster = try await DevCluster.shared.value
    let all = try await cluster.json("services")
    func services(of server: String) -> Set<String> {
      Set(all.list.filter { $0["server"].text == server }.compactMap { $0["service"].text })
    }
    let common: Set = ["chancery.v1.Health", "chancery.v1.Reflection"]
    #expect(services(of: "coordinator") == common.union(["Batches", "Jobs", "Records"].map { "chancery.v1.\($0)" }))
    #expect(services(of: "keykeeper") == common.union(["chancery.v1.Keys", "chancery.v1.Leases"]))
    #expect(services(of: "logger") == common.union(["Logs", "Metrics", "Telemetry"].map { "chancery.v1.\($0)" }))
    // What is called without naming a server finds the one that has it.
    for row in all.list {
      guard let service = row["service"].text, !common.contains(service) else { continue }
      let outcome = try await cluster.run("call", "\(service)/Nothing", "--address", try cluster.address(of: "logger"))
      #expect(outcome.status == 64 && outcome.errors.contains("there is no method '\(service)/Nothing'"))
    }
    let one = try await cluster.json("services", "--server", "keykeeper")
    #expect(one.list.count == 4 && one.list.allSatisfy { $0["methods"].list.count > 1 })
  }

  @Test func everythingIsDescribed() async throws {
    let cluster = try await DevCluster.shared.value
    let overview = try await cluster.json("describe")
    #expect(overview.list.count > 90)
    #expect(overview.list.allSatisfy { $0["summary"].text?.isEmpty == false }, "everything has a comment")
    let address = try cluster.address(of: "keykeeper-1")
    for name in ["Keys", "Keys/Get", "Key", "KeyState", "chancery.v1.HealthCheckResponse.ServingStatus"] {
      let text = try await cluster.run("describe", name)
      #expect(text.status == 0 && text.output.hasPrefix("//"), "\(name): \(text.errors)")
      #expect(try await cluster.run("describe", name, "--address", address).output == text.output)
      #expect(try await cluster.json("describe", name)["definition"].text == text.output)
    }
    let unknown = try await cluster.run("describe", "Kyes")
    #expect(unknown.status == 64 && unknown.errors.contains("'Kyes'"))
  }
}
