import Glibc
import Logging
import RPCTransport
import Telemetry
import Testing
import TimeAndChance

@testable import ServiceHost

/// What the admin port says: that probes read as those of Kubernetes, what is ready and what is not, the numbers in the form of
/// Prometheus, and a clear word to whoever asks for something else.
@Suite struct AdminPagesTests {
  /// Lends the pages of a process that does not run.
  private func withPages(
    _ checks: [ReadinessCheck] = [], _ body: (HostContext, (String) -> AdminResponse) async throws -> Void
  ) async throws {
    var configuration = HostConfiguration(service: "test", name: "t \"1\"", version: "1.2", listen: nil)
    configuration.log = LogConfiguration(level: .critical)
    let host = HostContext(configuration)
    host.readiness.set(checks)
    try await body(host) { AdminPages(host: host).answer(AdminRequest(method: "GET", uri: $0)) }
    await host.loops.shutdown()
  }

  // MARK: - Probes

  @Test func livenessLooksAtNothing() async throws {
    try await withPages([ReadinessCheck("database") { throw Away() }]) { host, get in
      await host.readiness.lookOnce()
      #expect(get("/livez") == AdminResponse(status: 200, body: "ok\n"))
      #expect(get("/livez?verbose").body == "[+]ping ok\nlivez check passed\n")
      #expect(get("/livez/ping") == AdminResponse(status: 200, body: "ok\n"))
    }
  }

  @Test func aServiceStartsOnce() async throws {
    try await withPages { host, get in
      let starting = AdminResponse(
        status: 503, body: "[+]ping ok\n[-]started failed: it is still starting\nstartupz check failed\n")
      #expect(get("/startupz") == starting)
      host.hasStarted.open()
      #expect(get("/startupz?verbose=1").body == "[+]ping ok\n[+]started ok\nstartupz check passed\n")
      // A stop does not begin it anew.
      host.health.stop()
      #expect(get("/startupz").status == 200)
    }
  }

  @Test func readinessTellsWhatIsMissing() async throws {
    let isAway = Trace<Bool>()
    let checks = [
      ReadinessCheck("database") { if isAway.entries.last == true { throw Away() } }, ReadinessCheck("redis") {},
    ]
    try await withPages(checks) { host, get in
      #expect(
        get("/readyz").body == """
          [+]ping ok
          [-]serving failed: it takes no calls
          [-]database failed: not looked at yet
          [-]redis failed: not looked at yet
          readyz check failed

          """)
      host.health.set(.serving)
      await host.readiness.lookOnce()
      #expect(get("/readyz") == AdminResponse(status: 200, body: "ok\n"))
      let verbose = get("/readyz?verbose")
      #expect(verbose.status == 200)
      #expect(verbose.body == "[+]ping ok\n[+]serving ok\n[+]database ok\n[+]redis ok\nreadyz check passed\n")

      isAway.append(true)
      await host.readiness.lookOnce()
      let failed = get("/readyz")
      #expect(failed.status == 503)
      #expect(
        failed.body
          == "[+]ping ok\n[+]serving ok\n[-]database failed: it is  away\n[+]redis ok\nreadyz check failed\n")
      #expect(get("/readyz/database") == AdminResponse(status: 503, body: "it is  away\n"))
      #expect(get("/readyz/redis") == AdminResponse(status: 200, body: "ok\n"))
      #expect(
        get("/metrics").body.contains("chancery_ready{check=\"database\"} 0\nchancery_ready{check=\"redis\"} 1\n"))

      isAway.append(false)
      await host.readiness.lookOnce()
      #expect(get("/readyz").status == 200)
      // A process that stops takes no calls.
      host.health.stop()
      #expect(get("/readyz/serving") == AdminResponse(status: 503, body: "it takes no calls\n"))
    }
  }

  @Test func checksCanBeExcluded() async throws {
    try await withPages([ReadinessCheck("database") { throw Away() }, ReadinessCheck("redis") { throw Away() }]) {
      host, get in
      host.health.set(.serving)
      await host.readiness.lookOnce()
      #expect(get("/readyz?exclude=database").status == 503)
      #expect(get("/readyz?exclude=database&exclude=redis") == AdminResponse(status: 200, body: "ok\n"))
      let verbose = get("/readyz?verbose&exclude=database&exclude=redis&exclude=moon")
      #expect(verbose.status == 200)
      #expect(
        verbose.body == """
          [+]ping ok
          [+]serving ok
          [+]database excluded: ok
          [+]redis excluded: ok
          warn: some health checks cannot be excluded: no matches for "moon"
          readyz check passed

          """)
    }
  }

  // MARK: - Numbers

  @Test func metricsAreThoseOfTheServiceAndOfTheProcess() async throws {
    try await withPages { host, get in
      host.registry.describe([
        .counter("chancery_things_total", "Things"), MetricDescription("chancery_left", "What is left"),
      ])
      host.registry.gauge("chancery_left", to: 2)
      let page = get("/metrics")
      #expect(page.status == 200 && page.contentType == "text/plain; version=0.0.4; charset=utf-8")
      let lines = page.body.split(separator: "\n").map(String.init)
      #expect(lines.contains("# HELP chancery_things_total Things") && lines.contains("chancery_things_total 0"))
      #expect(lines.contains("# TYPE chancery_left gauge") && lines.contains("chancery_left 2"))
      #expect(lines.contains(#"chancery_build_info{service="test",version="1.2"} 1"#))
      #expect(lines.contains(#"chancery_telemetry_dropped_total{what="invalid"} 0"#))
      let names = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
      #expect(names == names.sorted() && Set(names).count == names.count)
      for description in ProcessMetrics.descriptions {
        #expect(lines.contains("# HELP \(description.name.rawValue) \(description.help)"))
      }
    }
  }

  @Test func whatTheSystemKnowsOfTheProcess() throws {
    func value(_ name: MetricName) throws -> Double {
      try #require(ProcessMetrics.samples.first { $0.name == name }).value
    }
    let descriptors = try value("process_open_fds")
    let file = try #require(fopen("/proc/self/stat", "r"))
    #expect(try value("process_open_fds") == descriptors + 1)
    fclose(file)
    let limit = try value("process_max_fds")
    #expect(descriptors >= 3 && descriptors < limit)
    #expect(try value("process_threads") >= 1)
    #expect(try value("process_cpu_seconds_total") > 0)
    let resident = try value("process_resident_memory_bytes")
    let virtual = try value("process_virtual_memory_bytes")
    #expect(resident > 1_000_000 && resident < virtual)
    let age = Double(time(nil)) - (try value("process_start_time_seconds"))
    #expect(age > -2 && age < 24 * 3600)
  }

  // MARK: - The rest

  @Test func others() async throws {
    try await withPages { host, get in
      #expect(get("/version").contentType == "application/json")
      #expect(get("/version").body == #"{"service":"test","name":"t \"1\"","version":"1.2"}"# + "\n")
      #expect(get("/") == AdminResponse(status: 200, body: "/livez\n/metrics\n/readyz\n/startupz\n/version\n"))
      for path in ["/nothing", "/metrics/", "/metrics/x", "/version/x", "//", "*", "/livezz"] {
        #expect(get(path).status == 404, "\(path)")
        #expect(get(path).body.hasPrefix("there is no \(path) here, but:\n/livez\n"))
      }
      #expect(get("/readyz/moon") == AdminResponse(status: 404, body: "readyz has no check moon, but: ping, serving\n"))
      for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = AdminPages(host: host).answer(AdminRequest(method: method, uri: "/livez"))
        #expect(answer == AdminResponse(status: 405, body: "only GET and HEAD are answered here\n"))
      }
    }
  }

  private struct Away: Error, CustomStringConvertible {
    let description = "it is\n\u{1b}away"
  }
}

extension ReadinessMonitor {
  /// Makes all checks once.
  fileprivate func lookOnce() async { for check in checks { await look(at: check) } }
}
