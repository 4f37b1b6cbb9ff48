import Glibc
public import RPCTransport
public import TimeAndChance

/// What every process of Chancery is told.
public struct HostConfiguration: Sendable {
  /// Where a process reports its metrics and events to.
  public enum Telemetry: Sendable {
    /// Nowhere.
    case none
    /// To Logger, at the first of these addresses that answers.
    case endpoints([Endpoint])
    /// To itself: the process is Logger.
    case own
  }

  /// The kind of the service, such as `signer`.
  public var service: String
  /// Which one, for people: a host, pod or process name. The default is made of the host's name and the process id.
  public var name: String
  /// The version of the program.
  public var version: String
  /// Where it listens; nil is nowhere.
  public var listen: Endpoint?
  /// Where the admin port listens, for probes and for Prometheus; nil is nowhere. It speaks HTTP without TLS and may be
  /// beyond loopback: nothing secret is told there.
  public var admin: Endpoint?
  /// Who it is and whom it trusts; nil without TLS. With it, `AccessTable` says who may call what.
  public var tls: TLSCredentials?
  /// Where it reports to.
  public var telemetry = Telemetry.none
  /// What it logs.
  public var log = LogConfiguration()
  /// How many threads move bytes and run handlers.
  public var threads = 1
  /// How long a graceful stop may take in all before the process is ended.
  public var gracePeriod: Duration = .seconds(30)
  /// How much of it calls get to end by themselves after the service was drained.
  public var callTimeout: Duration = .seconds(10)
  /// An open descriptor (`--ready-fd`) to which `READY ` and the address go in one line once the service takes calls,
  /// and which is closed then, unless it is a standard stream. `-` stands for no address.
  public var readyDescriptor: Int32?
  /// Called with the address, and with that of the admin port, at the same moment.
  public var onReady: (@Sendable (_ address: Endpoint?, _ admin: Endpoint?) -> Void)?
  /// Whether SIGTERM and SIGINT stop the service gracefully and a second one at once. Not for two services in one
  /// process.
  public var trapsSignals = true
  /// Stops the service as SIGTERM does, when opened.
  public var stop = Latch()

  /// A configuration with the defaults.
  public init(service: String, name: String? = nil, version: String, listen: Endpoint?) {
    self.service = service
    self.name = name ?? Self.processName
    self.version = version
    self.listen = listen
  }

  private static var processName: String {
    var system = utsname()
    // Cannot fail: the pointer is valid.
    uname(&system)
    let host = withUnsafeBytes(of: &system.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return "\(host)-\(getpid())"
  }
}
