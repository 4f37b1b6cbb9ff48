import ArgumentParser
import CoordinatorService
import DedicatedThreads
import Domain
import Failpoints
import FoundationEssentials
import KeyKeeperService
import LoggerService
import Manifest
import PostgresDriver
import PostgresStorage
import RPC
import RPCTransport
import RedisDriver
import RedisLeases
import ServiceHost
import SignerService
import Signing
import Storage

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Run one service.",
    discussion: """
      A service stops gracefully on SIGTERM or Ctrl-C: it takes nothing new, finishes what it has, and reports its last \
      numbers; a second signal ends it at once. Without TLS it listens on loopback addresses and Unix sockets only; with TLS everybody shows a certificate, whose URI \
      (spiffe://chancery/signer, …/operator and so on) says what they may call.
      """,
    subcommands: [CoordinatorCommand.self, KeyKeeperCommand.self, SignerCommand.self, LoggerCommand.self])
}

/// What every service can be told.
struct HostOptions: ParsableArguments {
  @Option(help: "Name for people, in metrics and logs; the host's name and the process id by default.")
  var name: String?

  @Option(help: "Logger's address (CHANCERY_LOGGER); no reports are sent without it.")
  var logger: String?

  @Option(
    help: """
      Where probes and Prometheus are answered over HTTP: HOST:PORT, unix:/PATH or none (CHANCERY_ADMIN_LISTEN); a port from \
      7430 to 7433 of loopback by default.
      """)
  var adminListen: String?

  @Option(
    help:
      "Least severe events to log: trace, debug, info, notice, warning, error, critical (CHANCERY_LOG_LEVEL; default info).",
    completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"]))
  var logLevel: String?

  @Option(help: "json, or text for people; text on a terminal by default.", completion: .list(["json", "text"]))
  var logFormat: String?

  @Option(help: "Threads that move bytes and run handlers.")
  var ioThreads = 1

  @Option(help: "Seconds that a graceful stop may take.")
  var gracePeriod: Double = 30

  @OptionGroup(title: "TLS") var tls: TLSOptions

  @Option(help: .hidden) var readyFile: String?

  func configuration(_ service: ServiceKind, listen: String?) throws -> HostConfiguration {
    do {
      if let failpoints = Settings.value(nil, variable: "CHANCERY_FAILPOINTS") { try Failpoint.arm(failpoints) }
      let endpoint = try listen.map { try Endpoint(parsing: $0) }
      let credentials = try tls.credentials()
      if let endpoint, !endpoint.isLocal, credentials == nil {
        throw CommandFailure.usage(
          "cannot listen on \(endpoint): without TLS only loopback addresses and Unix sockets are served; "
            + "give --tls-cert, --tls-key and --tls-ca")
      }
      var configuration = HostConfiguration(
        service: service.rawValue, name: name, version: Version.number, listen: endpoint)
      configuration.admin = try admin(of: service)
      if let address = Settings.value(logger, variable: "CHANCERY_LOGGER") {
        configuration.telemetry = .endpoints([try Endpoint(parsing: address)])
      }
      configuration.tls = credentials
      configuration.log = try LogConfiguration(
        level: Settings.value(logLevel, variable: "CHANCERY_LOG_LEVEL") ?? "info", format: logFormat ?? "auto")
      configuration.threads = max(1, ioThreads)
      configuration.gracePeriod = .seconds(gracePeriod)
      if let readyFile {
        configuration.onReady = { address, admin in ReadyFile.write([address, admin], to: readyFile) }
      }
      return configuration
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure.usage("\(error)")
    }
  }

  private func admin(of service: ServiceKind) throws -> Endpoint? {
    switch Settings.value(adminListen, variable: "CHANCERY_ADMIN_LISTEN") {
    case nil: service.standardAdmin
    case "none": nil
    case let address?: try Endpoint(parsing: address)
    }
  }
}

/// Tells a parent process where a service listens, and then where its admin port does: a file that appears, whole, when they
/// do, with a line for each, in which `-` stands for no address.
enum ReadyFile {
  static func write(_ addresses: [Endpoint?], to path: String) {
    do {
      try Data(addresses.map { ($0?.description ?? "-") + "\n" }.joined().utf8).write(
        to: URL(filePath: path), options: .atomic)
    } catch {
      StandardError.write("\(path) cannot be written: \(error)\n")
    }
  }

  static func read(_ path: String) throws -> [String] {
    try String(contentsOf: URL(filePath: path), encoding: .utf8).split(separator: "\n").map(String.init)
  }
}

/// Runs a service and ends the command with its status.
private func run(
  _ configuration: HostConfiguration, _ body: (HostContext) async throws -> Void
) async throws {
  let status = await ServiceProcess.run(configuration, body)
  if status != .success { throw ExitCode(status.rawValue) }
}

struct CoordinatorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coordinator", abstract: "Plan jobs, stream batches to signers, store signatures.",
    discussion: "Example: chancery serve coordinator --database-url postgresql://coordinator@db/chancery")

  @Option(help: "Where to listen: HOST:PORT or unix:/PATH.") var listen = Setting.coordinator.standard!
  @Option(help: "The primary database (CHANCERY_DATABASE_URL).") var databaseURL: String?
  @Option(help: "A read replica for payloads (CHANCERY_READ_URL).") var readURL: String?
  @Option(
    help: "The private key that signs manifests, PEM, for its owner's eyes (CHANCERY_MANIFEST_KEY); none without it.")
  var manifestKey: String?
  @Option(help: "Connections to each database.") var connections = 8
  @Option(help: "Failures after which a batch counts as failed.") var failureLimit = BatchBudget().failures
  @Option(help: "Lost signers after which a batch counts as failed.") var signerLossLimit = BatchBudget().signerLosses
  @OptionGroup(title: "Timing") var times: TimingOptions
  @OptionGroup var host: HostOptions

  func validate() throws {
    for (option, limit) in [("failure-limit", failureLimit), ("signer-loss-limit", signerLossLimit)] {
      guard limit > 0 else { throw ValidationError("--\(option) \(limit) is not positive") }
    }
  }

  func run() async throws {
    let url = try Settings.required(databaseURL, option: "database-url", variable: "CHANCERY_DATABASE_URL")
    let readURL = Settings.value(readURL, variable: "CHANCERY_READ_URL")
    var options = CoordinatorOptions()
    options.timing = try times.timing()
    if let file = Settings.value(manifestKey, variable: "CHANCERY_MANIFEST_KEY") {
      do throws(SigningError) {
        options.manifestSealing = ManifestSealing(
          signer: try ManifestSigner(try PrivateKey.load(from: file)), wallClock: { Timestamp.now() })
      } catch {
        throw CommandFailure(error)
      }
    }
    var policy = BatchPolicy()
    policy.budget.failures = failureLimit
    policy.budget.signerLosses = signerLossLimit
    try await chancery.run(try host.configuration(.coordinator, listen: listen)) { [options, policy] host in
      let database = try Databases.open(
        url, readURL: readURL, connections: connections, name: "chancery-coordinator", policy: policy)
      try await database.schema.requireCurrent()
      let coordinator = Coordinator(
        store: database, clock: host.clock, random: host.random, observer: host.registry, options: options)
      try await host.serve(coordinator, needs: [.database(database)])
      await database.close()
    }
  }
}

struct KeyKeeperCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keykeeper", abstract: "Keep private keys and lease them.",
    discussion: """
      Example: chancery serve keykeeper --database-url postgresql://keykeeper@db/chancery --redis-url redis://cache \
      --kek-file /etc/chancery/kek
      """)

  @Option(help: "Where to listen: HOST:PORT or unix:/PATH.") var listen = Setting.keykeeper.standard!
  @Option(help: "The primary database (CHANCERY_DATABASE_URL).") var databaseURL: String?
  @Option(help: "Redis: redis://HOST:PORT or unix:///PATH (CHANCERY_REDIS_URL).") var redisURL: String?
  @Option(help: "The file with the key-encryption key (CHANCERY_KEK_FILE).", completion: .file()) var kekFile: String?
  @Option(help: "Connections to the database.") var connections = 4
  @OptionGroup(title: "Timing") var times: TimingOptions
  @OptionGroup var host: HostOptions

  func run() async throws {
    let url = try Settings.required(databaseURL, option: "database-url", variable: "CHANCERY_DATABASE_URL")
    let redis = try Settings.required(redisURL, option: "redis-url", variable: "CHANCERY_REDIS_URL")
    let kek = try Settings.required(kekFile, option: "kek-file", variable: "CHANCERY_KEK_FILE")
    var options = KeyKeeperConfiguration()
    options.timing = try times.timing()
    try ProcessHardening.disableCoreDumps()
    let keyEncryptionKey: KeyEncryptionKey
    let redisConfiguration: RedisConfiguration
    do {
      redisConfiguration = try RedisConfiguration(redis)
      keyEncryptionKey = try KeyEncryptionKey.load(from: kek)
    } catch let error as SigningError {
      throw CommandFailure(error)
    } catch {
      throw CommandFailure.usage("redis url: \(error)")
    }
    try await chancery.run(try host.configuration(.keykeeper, listen: listen)) { [options] host in
      let database = try Databases.open(url, connections: connections, name: "chancery-keykeeper")
      try await database.schema.requireCurrent()
      let redisPool = RedisPool(redisConfiguration, limits: PoolLimits(connections: 2))
      let compute = try ComputePool(name: "keys")
      let keyKeeper = KeyKeeper(
        store: database, cache: RedisLeaseCache(pool: redisPool),
        keyEncryptionKey: keyEncryptionKey, compute: compute, clock: host.clock,
        random: host.random, observer: host.registry, configuration: options)
      try await host.serve(keyKeeper, needs: [.database(database), .redis(redisPool)])
      await compute.shutDown()
      await redisPool.close()
      await database.close()
    }
  }
}

struct SignerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "signer", abstract: "Sign batches.",
    discussion: "Example: chancery serve signer --coordinator 127.0.0.1:7420 --keykeeper 127.0.0.1:7421 --threads 4")

  @Option(help: "A coordinator's address; give it once for each (CHANCERY_COORDINATOR, with commas between).")
  var coordinator: [String] = []
  @Option(help: "KeyKeepers' addresses, the first that answers is used (CHANCERY_KEYKEEPER, with commas between).")
  var keykeeper: [String] = []
  @Option(help: "Threads that sign; one for each core by default.") var threads: Int?
  @OptionGroup(title: "Timing") var times: TimingOptions
  @OptionGroup var host: HostOptions

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads) is not between 1 and 1024")
    }
  }

  func run() async throws {
    let coordinators = try endpoints(coordinator, "CHANCERY_COORDINATOR", Setting.coordinator.standard!)
    let keyKeepers = try endpoints(keykeeper, "CHANCERY_KEYKEEPER", Setting.keykeeper.standard!)
    let threads = threads ?? ComputePool.availableCores
    let timing = try times.timing()
    try await chancery.run(try host.configuration(.signer, listen: nil)) { host in
      try ProcessHardening.disableCoreDumps()
      let compute = try ComputePool(threads: threads, name: "sign")
      var options = SignerOptions(name: host.configuration.name, threads: threads)
      options.timing = timing
      let coordinators = coordinators.map { host.channel(to: [$0]) }
      let keyKeeper = host.channel(to: keyKeepers)
      let signer = try Signer(
        coordinators: coordinators, keyKeeper: keyKeeper,
        compute: compute, clock: host.clock, random: host.random, observer: host.registry,
        options: options)
      try await host.serve(
        signer, needs: [.server("coordinator", anyOf: coordinators), .server("keykeeper", anyOf: [keyKeeper])])
      await compute.shutDown()
    }
  }

  private func endpoints(_ flags: [String], _ variable: String, _ standard: String) throws -> [Endpoint] {
    let texts =
      flags.isEmpty
      ? (Settings.value(nil, variable: variable) ?? standard).split(separator: ",").map(String.init) : flags
    do {
      return try texts.map { try Endpoint(parsing: $0) }
    } catch {
      throw CommandFailure.usage("\(error)")
    }
  }
}

struct LoggerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logger", abstract: "Take in metrics and events, and stream them.",
    discussion: "Example: chancery serve logger --database-url postgresql://logger@db/chancery")

  @Option(help: "Where to listen: HOST:PORT or unix:/PATH.") var listen = Setting.logger.standard!
  @Option(help: "The primary database (CHANCERY_DATABASE_URL).") var databaseURL: String?
  @Option(help: "Connections to the database.") var connections = 2
  @Option(
    parsing: .unconditional,
    help: "Days (UTC) for which events are kept, today included (CHANCERY_EVENT_RETENTION; default 30).")
  var eventRetention: Int?
  @OptionGroup var host: HostOptions

  func run() async throws {
    var options = LoggerOptions()
    if let text = Settings.value(eventRetention.map(String.init), variable: "CHANCERY_EVENT_RETENTION") {
      guard let days = Int(text), (1...36_500).contains(days) else {
        throw CommandFailure.usage("--event-retention \(text) is not between 1 and 36500 days")
      }
      options.retentionDays = days
    }
    let url = try Settings.required(databaseURL, option: "database-url", variable: "CHANCERY_DATABASE_URL")
    var configuration = try host.configuration(.logger, listen: listen)
    configuration.telemetry = .own
    try await chancery.run(configuration) { [options] host in
      let database = try Databases.open(url, connections: connections, name: "chancery-logger")
      try await database.schema.requireCurrent()
      var options = options
      options.auditLog = database
      let logger = LoggerCore(
        store: database, clock: host.clock, random: host.random, observer: host.registry,
        wallClock: { Timestamp.now() }, options: options)
      try await host.serve(logger, needs: [.database(database)])
      await database.close()
    }
  }
}
