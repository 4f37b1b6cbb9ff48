import Foundation
import Testing

// Proves that docs/metrics.md tells of every metric, with its kind, labels and services, and of none that is not there: against what a
// cluster reports that has signed, and against the names that the program has.
@Suite("Every metric is documented")
struct MetricsTests {
  /// A row of the table.
  private struct Documented {
    var kind: String
    var labels: Set<String>
    var services: Set<String>
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")

  private static func table() throws -> [String: Documented] {
    let text = try String(contentsOf: root.appending(path: "docs/metrics.md"), encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `chancery_") }.map { row in
      row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    func words(_ text: String) -> Set<String> {
      Set(text.split(separator: ",").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) })
    }
    return Dictionary(
      uniqueKeysWithValues: rows.map { row in
        let services = row[3] == "all" ? ["signer", "coordinator", "keykeeper", "logger"] : words(row[3])
        return (
          row[0].replacing("`", with: ""), Documented(kind: row[1], labels: words(row[2]), services: services)
        )
      })
  }

  @Test func asTheClusterReportsThem() async throws {
    let documented = try Self.table()
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate", "--algorithm", "ed25519")
    _ = try await cluster.json("records", "generate", "--count", "100")
    #expect(try await cluster.json("sign", "--algorithm", "ed25519")["state"].text == "done")
    var seen: Set<String> = []
    let wanted: Set = [
      "chancery_record_signing_seconds", "chancery_batch_signing_seconds", "chancery_lease_wait_seconds",
      "chancery_result_wait_seconds", "chancery_store_seconds", "chancery_cache_seconds",
      "chancery_acquire_wait_seconds", "chancery_signatures_stored_total", "chancery_logger_events_stored_total",
    ]
    try await eventually("all that a job counts is reported") {
      for service in try await cluster.json("call", "Metrics/Get", "{}")["services"].list {
        let kind = try #require(service["instance"]["service"].text)
        for metric in service["metrics"].list {
          let name = try #require(metric["name"].text)
          seen.insert(name)
          let row = try #require(documented[name], "\(name) is not in docs/metrics.md")
          #expect(metric["kind"].text == "METRIC_KIND_" + row.kind.uppercased(), "\(name)")
          #expect(Set(metric["labels"].list.compactMap { $0["name"].text }) == row.labels, "\(name)")
          #expect(row.services.contains(kind), "\(name) of \(kind)")
        }
      }
      return wanted.isSubset(of: seen)
    }
  }

  @Test func asTheProgramNamesThem() throws {
    let sources = Self.root.appending(path: "Sources")
    let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
    var named: Set<String> = []
    for case let file as URL in files where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(
        of: /"(chancery_[a-z_]+_(total|seconds|held|info|connected|waiting|running|pending|free|leased|services))"/)
      {
        named.insert(String(match.output.1))
      }
    }
    // What is told to whom asks the process itself.
    named.subtract(["chancery_rpc_server_calls_total", "chancery_build_info"])
    #expect(named == Set(try Self.table().keys))
  }
}
