import Foundation
import LocalServers
import Testing

// Proves what the audit notices on a live database: nothing while all is well, look after look; a signature that is gone, and one
// whose bytes were changed, at the next look. The database is changed by its superuser, behind everybody's back.
@Suite("The audit sees what happens to the database")
struct AuditTests {
  @Test func aChangedSignatureIsFound() async throws {
    try await DevCluster.with { cluster in
      try await sign(cluster)
      let url = try cluster.databaseURL()
      let sound = try await cluster.json("audit", "--sample", "300", "--database-url", url)
      let checked = try #require(sound.list.first { $0["invariant"].number == 3 }?["checked"].number)
      // About 300 of 2000, at random.
      #expect((150...500).contains(checked))

      _ = try await cluster.query(
        "UPDATE chancery.signatures SET signature = set_byte(signature, 9, get_byte(signature, 9) # 1) WHERE record_id = 77"
      )
      let spoiled = try await cluster.run("audit", "--signatures", "--database-url", url, "-o", "json")
      #expect(spoiled.status == 3)
      let finding = try #require(try spoiled.json().list.first { $0["invariant"].number == 3 })
      #expect(finding["violations"].number == 1)
      #expect(finding["examples"][0].text?.contains("77") == true)
    }
  }

  @Test(arguments: [
    "DELETE FROM chancery.signatures WHERE record_id = 5",
    "UPDATE chancery.signatures SET signature = signature || '\\x00' WHERE record_id = 5",
  ])
  func whatWasSignedMustStay(_ change: String) async throws {
    try await DevCluster.with { cluster in
      let log = cluster.directory.appending(path: "audit.log")
      let audit = try await ServerProcess(
        [
          Program.chancery, "audit", "--follow", "--interval", "1", "-o", "json", "--database-url",
          try cluster.databaseURL(),
        ], log: log)
      try await sign(cluster)
      let looks = { Self.looks(in: log) }
      try await eventually("it has seen all signatures twice") {
        looks().count { Self.finding(8, $0)["checked"].number == 2000 } >= 2
      }
      #expect(looks().allSatisfy { $0["violations"].number == 0 })
      _ = try await cluster.query(change)
      #expect(try await audit.waitForExit(within: .seconds(30)) >> 8 == 3)
      let last = try #require(looks().last { $0["violations"].number != nil })
      #expect(Self.finding(8, last)["violations"].number == 1)
    }
  }

  private func sign(_ cluster: DevCluster) async throws {
    _ = try await cluster.json("keys", "generate", "--count", "4", "--algorithm", "ed25519")
    _ = try await cluster.json("records", "generate", "--count", "2000", "--size", "64")
    _ = try await cluster.json("sign", "--batch-size", "100", "--algorithm", "ed25519")
  }

  private static func finding(_ number: Int, _ look: JSON) -> JSON {
    look["findings"].list.first { $0["invariant"].number == number } ?? JSON(value: nil)
  }

  /// The lines of a log that are looks.
  private static func looks(in log: URL) -> [JSON] {
    ((try? String(contentsOf: log, encoding: .utf8)) ?? "").split(separator: "\n").compactMap {
      (try? JSONSerialization.jsonObject(with: Data($0.utf8))).map { JSON(value: $0) }
    }.filter { $0["findings"].value != nil }
  }
}
