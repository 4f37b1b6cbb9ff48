import Telemetry
import TimeAndChance

/// What the admin port of a process tells: numbers for Prometheus, and answers for the probes of Kubernetes, which read as
/// those of its own components do (https://kubernetes.io/docs/reference/using-api/health-checks/).
struct AdminPages: Sendable {
  /// What there is to ask for.
  static let paths = ["/livez", "/metrics", "/readyz", "/startupz", "/version"]

  let host: HostContext

  /// The answer to a request.
  func answer(_ request: AdminRequest) -> AdminResponse {
    guard request.method == "GET" || request.method == "HEAD" else {
      return AdminResponse(status: 405, body: "only GET and HEAD are answered here\n")
    }
    let parts = request.path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    let name = parts.count > 2 ? String(parts[2]) : nil
    switch parts.prefix(2).joined(separator: "/") {
    case "/livez": return answer("livez", [Self.ping], name, request)
    case "/readyz": return answer("readyz", [Self.ping, serving] + needs, name, request)
    case "/startupz": return answer("startupz", [Self.ping, started], name, request)
    case "/metrics" where name == nil: return metrics
    case "/version" where name == nil: return version
    case "/" where name == nil: return AdminResponse(status: 200, body: Self.index)
    default: return AdminResponse(status: 404, body: "there is no \(request.path.printable) here, but:\n" + Self.index)
    }
  }

  private static let index = paths.joined(separator: "\n") + "\n"
}

// MARK: - Numbers

extension AdminPages {
  private var metrics: AdminResponse {
    AdminResponse(
      status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
      body: host.registry.exposition(with: ProcessMetrics.samples + readiness + [build]))
  }

  private var build: MetricSample {
    MetricSample(
      name: "chancery_build_info",
      labels: ["version": host.configuration.version, "service": host.configuration.service],
      kind: .gauge, value: 1)
  }

  private var readiness: [MetricSample] {
    ([serving] + needs).map { check in
      MetricSample(
        name: "chancery_ready", labels: ["check": check.name], kind: .gauge, value: check.fault == nil ? 1 : 0)
    }
  }

  private var version: AdminResponse {
    var text = LogText("{\"service\":")
    text.append(quoted: host.configuration.service)
    text.append(",\"name\":")
    text.append(quoted: host.configuration.name)
    text.append(",\"version\":")
    text.append(quoted: host.configuration.version)
    text.append("}\n")
    return AdminResponse(
      status: 200, contentType: "application/json", body: String(decoding: text.bytes, as: UTF8.self))
  }
}

// MARK: - Probes

extension AdminPages {
  /// Something that a probe asks for, and what is wrong with it.
  private struct Check {
    let name: String
    let fault: String?
  }

  /// The process answers: that is all that liveness asks. To restart it because Postgres is away would help nobody.
  private static let ping = Check(name: "ping", fault: nil)

  private var serving: Check {
    Check(name: "serving", fault: host.health.status() == .serving ? nil : "it takes no calls")
  }

  private var started: Check { Check(name: "started", fault: host.hasStarted.isOpen ? nil : "it is still starting") }

  private var needs: [Check] { host.readiness.results.map { Check(name: $0.name, fault: $0.outcome.fault) } }

  /// The answer to a probe: of all its checks but those to exclude, or of the one named.
  private func answer(_ probe: String, _ checks: [Check], _ name: String?, _ request: AdminRequest) -> AdminResponse {
    if let name {
      guard let check = checks.first(where: { $0.name == name }) else {
        let names = checks.map(\.name).joined(separator: ", ")
        return AdminResponse(status: 404, body: "\(probe) has no check \(name.printable), but: \(names)\n")
      }
      return AdminResponse(status: check.fault == nil ? 200 : 503, body: (check.fault?.printable ?? "ok") + "\n")
    }
    let excluded = Set(request.values("exclude"))
    let hasPassed = checks.allSatisfy { $0.fault == nil || excluded.contains($0.name) }
    if hasPassed && !request.has("verbose") { return AdminResponse(status: 200, body: "ok\n") }
    let lines = checks.map { check in
      if excluded.contains(check.name) { return "[+]\(check.name) excluded: ok\n" }
      return check.fault.map { "[-]\(check.name) failed: \($0.printable)\n" } ?? "[+]\(check.name) ok\n"
    }
    let unknown = excluded.subtracting(checks.map(\.name)).sorted().map { "\"\($0.printable)\"" }
    let warning =
      unknown.isEmpty
      ? "" : "warn: some health checks cannot be excluded: no matches for \(unknown.joined(separator: ", "))\n"
    let verdict = "\(probe) check \(hasPassed ? "passed" : "failed")\n"
    return AdminResponse(status: hasPassed ? 200 : 503, body: lines.joined() + warning + verdict)
  }
}

extension String {
  /// On one line, and short.
  fileprivate var printable: String {
    String(
      String.UnicodeScalarView(unicodeScalars.prefix(300).map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
