import Foundation
import LocalServers
import Testing

// Proves that what k8s/monitoring holds is fit for use: rules, their tests and the scrape example as promtool judges them; every
// metric that a rule or a panel names is there in a cluster that has done a job; and a real Prometheus, which scrapes that cluster,
// has something to show on every panel and no cause for alarm.
@Suite("Rules and dashboard fit the metrics that there are")
struct MonitoringTests {
  private static let folder = packageFolder.appending(path: "k8s/monitoring")
  private static let services = ["coordinator-1", "keykeeper-1", "logger", "signer-1"]

  private static func text(_ file: String) throws -> String {
    try String(contentsOf: folder.appending(path: file), encoding: .utf8)
  }

  @Test(arguments: [
    ["check", "rules", "alerts.yaml"], ["test", "rules", "alerts-test.yaml"], ["check", "config", "prometheus.yaml"],
  ])
  func promtoolTakesThem(_ command: [String]) async throws {
    let outcome = try await Program.run("env", ["-C", Self.folder.path, "promtool"] + command)
    #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.output) \(outcome.errors)")
    #expect(outcome.output.contains("SUCCESS"))
  }

  @Test func theDashboardCanBeImported() throws {
    let panels = try Dashboard(try Self.text("dashboard.json")).panels
    #expect(panels.count > 30)
    #expect(Set(panels.map { $0["id"].number }).count == panels.count)
    for panel in panels where panel["type"].text != "row" {
      let title = panel["title"].text ?? "a panel without a title"
      #expect(panel["datasource"]["uid"].text == "${datasource}", "\(title)")
      #expect(!panel["targets"].list.isEmpty, "\(title)")
      for target in panel["targets"].list {
        #expect(target["datasource"]["uid"].text == "${datasource}", "\(title)")
        #expect(target["expr"].text?.contains(#"{job=~"$job""#) == true, "\(title)")
      }
    }
    // None lies over another.
    var taken: Set<[Int]> = []
    for panel in panels {
      let place = panel["gridPos"]
      let (x, y) = (try #require(place["x"].number), try #require(place["y"].number))
      let (width, height) = (try #require(place["w"].number), try #require(place["h"].number))
      #expect(x + width <= 24)
      for column in x..<x + width {
        for line in y..<y + height { #expect(taken.insert([column, line]).inserted, "\(panel["title"].text ?? "")") }
      }
    }
  }

  @Test func everyNameIsThatOfAMetric() async throws {
    let cluster = try await DevCluster.shared.value
    try await AdminTests.sign(cluster)
    try await eventually("the keys were counted") {
      try Exposition(cluster, "keykeeper-1").names.contains("chancery_keys_free")
    }
    let known = try Self.services.reduce(into: Set<String>()) { $0.formUnion(try Exposition(cluster, $1).names) }
    for file in ["alerts.yaml", "alerts-test.yaml", "dashboard.json"] {
      let names = Set(try Self.text(file).matches(of: /\b(chancery|process)_[a-z_]+/).map { String($0.output.0) })
      #expect(names.count >= 5)
      #expect(names.subtracting(known).sorted() == [], "\(file)")
    }
  }

  @Test func aPrometheusHasSomethingToShow() async throws {
    try await DevCluster.with { cluster in
      let prometheus = try await Prometheus(scraping: cluster, rules: Self.folder.appending(path: "alerts.yaml"))
      try await prometheus.eventually("all services are scraped", #"sum(up{job="chancery"}) == 4"#)
      try await AdminTests.sign(cluster)
      for panel in try Dashboard(try Self.text("dashboard.json")).panels {
        for target in panel["targets"].list {
          let expression = try #require(target["expr"].text).replacing("$job", with: ".+")
            .replacing("$__rate_interval", with: "1m")
          try await prometheus.eventually("\(panel["title"].text ?? "") shows \(expression)", expression)
        }
      }
      try await prometheus.eventually("the records are counted", "sum(chancery_signatures_stored_total) == 2000")
      try await prometheus.eventually("no alert is near", "absent(ALERTS)")
      // One that must come: the signer dies, and it may not be started again.
      kill(try cluster.pid(of: "signer-1"), SIGSTOP)
      try await prometheus.eventually("its silence is seen", #"ALERTS{alertname="ChanceryServiceDown"}"#)
      kill(try cluster.pid(of: "signer-1"), SIGCONT)
      try await prometheus.stop()
    }
  }

  private struct Dashboard {
    let panels: [JSON]

    init(_ text: String) throws {
      panels = JSON(value: try JSONSerialization.jsonObject(with: Data(text.utf8)))["panels"].list
    }
  }
}

/// A Prometheus that scrapes the services of a cluster every second.
private struct Prometheus {
  private let directory: ServerDirectory
  private let process: ServerProcess
  private let url: String

  init(scraping cluster: DevCluster, rules: URL) async throws {
    directory = try await ServerDirectory("p")
    let targets = try cluster.adminAddresses().map { "'\($0)'" }.joined(separator: ", ")
    let configuration = directory.url.appending(path: "prometheus.yaml")
    try Data(
      """
      global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
      rule_files: ['\(rules.path)']
      scrape_configs:
        - {job_name: chancery, static_configs: [{targets: [\(targets)]}]}
      """.utf8
    ).write(to: configuration)
    let log = directory.url.appending(path: "log")
    let process = try await ServerProcess(
      [
        "prometheus", "--config.file=\(configuration.path)", "--web.listen-address=127.0.0.1:0",
        "--storage.tsdb.path=\(directory.url.appending(path: "data").path)",
      ], log: log, deathSignal: SIGKILL)
    self.process = process
    var address: String?
    try await EndToEndTests.eventually("Prometheus listens") {
      let text = try String(contentsOf: log, encoding: .utf8)
      try #require(await process.isRunning, "\(text)")
      address = text.firstMatch(of: /msg="Listening on" address=(\S+)/).map { String($0.output.1) }
      return address != nil
    }
    url = "http://\(try #require(address))"
  }

  /// Waits until an expression has a value.
  func eventually(_ what: String, _ expression: String) async throws {
    try await EndToEndTests.eventually(what) {
      let outcome = try await Program.run("promtool", ["query", "instant", url, expression])
      try #require(outcome.status == 0 || outcome.errors.contains("unavailable"), "\(expression): \(outcome.errors)")
      return !outcome.output.allSatisfy(\.isWhitespace)
    }
  }

  func stop() async throws {
    await process.signal(SIGTERM)
    try await process.waitForExit(within: .seconds(30))
    try await directory.remove()
  }
}
