import Glibc
import Logging
import RPCTransport

/// Runs a service as a process.
public enum ServiceProcess {
  /// Opens the admin port and runs `body`, which opens what the service needs and calls `HostContext.serve`; returns with what the process is to
  /// exit. An error is told in one line of the log, and on standard error if the log goes elsewhere.
  ///
  /// ```swift
  /// let status = await ServiceProcess.run(configuration) { host in
  ///   let coordinator = Coordinator(store: store, clock: host.clock, random: host.random, observer: host.registry)
  ///   try await host.serve(
  ///     HostedService(services: coordinator.services, run: coordinator.run, drain: coordinator.drain))
  /// }
  /// exit(status.rawValue)
  /// ```
  public static func run(
    _ configuration: HostConfiguration, _ body: (HostContext) async throws -> Void
  ) async -> ExitStatus {
    // A peer or parent that is gone is an error of the write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    let host = HostContext(configuration)
    let failure: (any Error)?
    do {
      try await host.withAdminPort { try await body(host) }
      failure = nil
    } catch {
      failure = error
    }
    await host.loops.shutdown()
    guard let failure else {
      host.logger.info("stopped")
      return .success
    }
    let status = ExitStatus(failure)
    tell("\(configuration.service) failed: \(failure)", host, status)
    return status
  }

  /// Tells on standard error, in one line, why a process cannot even be configured; returns with what it is to exit.
  public static func refuse(_ error: any Error) -> ExitStatus {
    tell("\(error)")
    return ExitStatus(error)
  }

  /// Ends the process at once, with nothing put in order: what holds a service up is not to be waited for.
  static func end(_ reason: String, _ host: HostContext, _ status: ExitStatus) -> Never {
    tell("\(host.configuration.service) ended: \(reason)", host, status)
    _exit(status.rawValue)
  }

  private static func tell(_ message: String, _ host: HostContext, _ status: ExitStatus) {
    host.logger.critical("\(message)", metadata: ["exit_status": "\(status.rawValue)"])
    if host.configuration.log.output.descriptor != STDERR_FILENO { tell(message) }
  }

  private static func tell(_ message: String) {
    var text = LogText("chancery: ")
    text.append(escaped: message)
    text.append("\n")
    LogOutput.standardError.write(text.bytes)
  }
}
