import RPCTransport
import Synchronization
import Telemetry

extension HostContext {
  /// Serves the admin pages, if the process is to, while `body` runs. Throws what `body` does, and `AdminPortError`.
  func withAdminPort(_ body: () async throws -> Void) async throws {
    guard let endpoint = configuration.admin else { return try await body() }
    let pages = AdminPages(host: self)
    let server = try await AdminServer(at: endpoint, on: loops) { pages.answer($0) }
    admin.withLock { $0 = server.address }
    let result: Result<Void, any Error>
    do {
      result = .success(try await body())
    } catch {
      result = .failure(error)
    }
    await server.close()
    try result.get()
  }

  /// What the metrics mean that every process has.
  static let metrics: [MetricDescription] =
    ProcessMetrics.descriptions + [
      MetricDescription("chancery_build_info", "1, with the version of the program and the kind of service as labels"),
      MetricDescription("chancery_ready", "1 if the service has what it needs, else 0, by check"),
      .counter(
        "chancery_tls_handshakes_failed_total", "Connections refused because there was no TLS with their client"),
      .counter(
        MetricsRegistry.droppedName, "Values not kept because they were beyond the bounds of a process, or invalid",
        series: ["names", "label_sets", "invalid"].map { ["what": $0] }),
    ]
}
