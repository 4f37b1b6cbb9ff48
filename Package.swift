// swift-tools-version:6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "chancery",
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl.git", exact: "2.37.6"),
    .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections.git", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log.git", exact: "1.16.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", exact: "2.13.0"),
  ],
  targets: [
    .executableTarget(
      name: "chancery",
      dependencies: [
        "COpenSSL", "CoordinatorService", "Dashboard", "DedicatedThreads", "Domain", "DynamicMessages", "Failpoints",
        "FaultyNetworking",
        "KeyKeeperService", "LocalServers", "LoggerService", "Manifest", "PostgresDriver", "PostgresStorage", "RPC",
        "RPCMemory",
        "RPCTransport", "RedisDriver",
        "RedisLeases", "Schema", "ServiceHost", "SignerService", "Signing", "Simulation", "Storage",
        "Telemetry", "Terminal", "TimeAndChance", "Translation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .target(name: "Failpoints", swiftSettings: settings),
    .target(
      name: "FaultyNetworking",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .target(
      name: "LoggerService",
      dependencies: [
        "Domain", "Failpoints", "RPC", "Schema", "Storage", "Telemetry", "TimeAndChance", "Translation",
        .product(name: "DequeModule", package: "swift-collections"),
      ], swiftSettings: settings),
    .target(
      name: "ServiceHost",
      dependencies: [
        "Domain", "RPC", "RPCTransport", "Schema", "Storage", "Telemetry", "TimeAndChance", "Translation",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: settings),
    .target(
      name: "PostgresStorage", dependencies: ["Domain", "PostgresDriver", "Storage", "TimeAndChance"],
      swiftSettings: settings),
    .target(name: "TimeAndChance", swiftSettings: settings),
    .target(name: "Telemetry", dependencies: ["TimeAndChance"], swiftSettings: settings),
    .target(name: "Domain", swiftSettings: settings),
    .target(name: "Dashboard", dependencies: ["Telemetry", "TimeAndChance"], swiftSettings: settings),
    .systemLibrary(name: "CNcurses", providers: [.apt(["libncurses-dev"])]),
    .target(name: "Terminal", dependencies: ["CNcurses", "CPosix", "Dashboard"], swiftSettings: settings),
    .target(name: "Storage", dependencies: ["Domain", "TimeAndChance"], swiftSettings: settings),
    .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
    .target(name: "CSchema", dependencies: ["CProtobufC"]),
    .target(name: "ProtobufRuntime", dependencies: ["CProtobufC"], swiftSettings: settings),
    .target(name: "Schema", dependencies: ["CSchema", "ProtobufRuntime", "RPC"], swiftSettings: settings),
    .target(name: "DynamicMessages", dependencies: ["ProtobufRuntime"], swiftSettings: settings),
    .target(
      name: "RPC",
      dependencies: [
        "ProtobufRuntime", "TimeAndChance", .product(name: "DequeModule", package: "swift-collections"),
      ], swiftSettings: settings),
    .target(name: "RPCMemory", dependencies: ["RPC", "TimeAndChance"], swiftSettings: settings),
    .target(
      name: "RPCTransport",
      dependencies: [
        "RPC", "TimeAndChance", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ], swiftSettings: settings),
    .target(name: "CPosix"),
    .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .target(name: "PostgresDriver", dependencies: ["CPostgres", "DedicatedThreads"], swiftSettings: settings),
    .target(name: "RedisDriver", dependencies: ["CHiredis", "DedicatedThreads"], swiftSettings: settings),
    .target(name: "LocalServers", dependencies: ["CPosix", "DedicatedThreads"], swiftSettings: settings),
    .target(name: "DedicatedThreads", dependencies: ["CPosix"], swiftSettings: settings),
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .target(name: "Manifest", dependencies: ["Domain", "Signing"], swiftSettings: settings),
    .target(name: "Signing", dependencies: ["COpenSSL", "CSodium", "Domain"], swiftSettings: settings),
    .target(
      name: "RedisLeases", dependencies: ["Storage", "Domain", "RedisDriver"], swiftSettings: settings),
    .target(
      name: "KeyKeeperService",
      dependencies: [
        "Translation", "Schema", "RPC", "Domain", "Failpoints", "Storage", "Signing", "DedicatedThreads",
        "TimeAndChance", "Telemetry",
      ], swiftSettings: settings),
    .target(
      name: "SignerService",
      dependencies: [
        "Translation", "Schema", "RPC", "Domain", "Failpoints", "Signing", "DedicatedThreads", "TimeAndChance",
        "Telemetry",
      ], swiftSettings: settings),
    .target(
      name: "Simulation",
      dependencies: [
        "CoordinatorService", "DedicatedThreads", "Domain", "KeyKeeperService", "RPC", "RPCMemory", "SignerService",
        "Signing", "Storage", "Telemetry", "TimeAndChance", .product(name: "HeapModule", package: "swift-collections"),
      ], swiftSettings: settings),
    .target(
      name: "Translation", dependencies: ["Schema", "RPC", "Domain", "Storage", "Telemetry"], swiftSettings: settings),
    .target(
      name: "CoordinatorService",
      dependencies: [
        "Translation", "Schema", "RPC", "Domain", "Failpoints", "Manifest", "Signing", "Storage", "TimeAndChance",
        "Telemetry",
        .product(name: "DequeModule", package: "swift-collections"),
      ], swiftSettings: settings),
    // The test schema: generated as the shipped one is, but never shipped.
    .target(name: "CTestSchema", dependencies: ["CProtobufC"], path: "Tests/CTestSchema"),
    .target(
      name: "TestSchema", dependencies: ["CProtobufC", "CTestSchema", "ProtobufRuntime", "RPC"],
      path: "Tests/TestSchema", swiftSettings: settings),
    .target(
      name: "RPCTestSupport",
      dependencies: [
        "ProtobufRuntime", "RPC", "TimeAndChance", .product(name: "DequeModule", package: "swift-collections"),
      ], path: "Tests/RPCTestSupport", swiftSettings: settings),
    .testTarget(
      name: "RPCTests", dependencies: ["RPC", "RPCTestSupport", "TimeAndChance"], exclude: ["Protos"],
      swiftSettings: settings),
    .testTarget(
      name: "RPCMemoryTests", dependencies: ["RPC", "RPCMemory", "RPCTestSupport", "TimeAndChance"],
      swiftSettings: settings),
    .testTarget(
      name: "RPCTransportTests",
      dependencies: [
        "LocalServers", "RPC", "RPCMemory", "RPCTestSupport", "RPCTransport", "TimeAndChance",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .testTarget(
      name: "ProtobufRuntimeTests", dependencies: ["ProtobufRuntime", "TestSchema"], swiftSettings: settings),
    .testTarget(
      name: "DynamicMessagesTests", dependencies: ["DynamicMessages", "ProtobufRuntime", "Schema", "TestSchema"],
      swiftSettings: settings),
    .testTarget(
      name: "SchemaTests", dependencies: ["CProtobufC", "ProtobufRuntime", "RPC", "Schema", "TestSchema"],
      swiftSettings: settings),
    .testTarget(name: "DedicatedThreadsTests", dependencies: ["DedicatedThreads"], swiftSettings: settings),
    .testTarget(
      name: "PostgresDriverTests", dependencies: ["LocalServers", "PostgresDriver"], swiftSettings: settings),
    .testTarget(name: "RedisDriverTests", dependencies: ["LocalServers", "RedisDriver"], swiftSettings: settings),
    .testTarget(
      name: "SigningTests", dependencies: ["COpenSSL", "CSodium", "Domain", "Signing"], swiftSettings: settings),
    .testTarget(name: "ManifestTests", dependencies: ["Domain", "Manifest", "Signing"], swiftSettings: settings),
    .testTarget(name: "DomainTests", dependencies: ["Domain"], swiftSettings: settings),
    .testTarget(name: "TimeAndChanceTests", dependencies: ["TestWorld", "TimeAndChance"], swiftSettings: settings),
    .testTarget(
      name: "CoordinatorServiceTests",
      dependencies: [
        "CoordinatorService", "Domain", "Manifest", "RPC", "RPCMemory", "Schema", "Signing", "Simulation", "Storage",
        "Telemetry", "TimeAndChance",
      ], swiftSettings: settings),
    .testTarget(
      name: "SignerServiceTests",
      dependencies: [
        "DedicatedThreads", "Domain", "KeyKeeperService", "RPC", "RPCMemory", "Schema", "SignerService", "Signing",
        "Simulation", "Storage", "Telemetry", "TestWorld", "TimeAndChance", "Translation",
      ], swiftSettings: settings),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "Domain", "RPC", "RPCMemory", "Schema", "Signing", "Simulation", "Storage", "TimeAndChance", "Translation",
      ], swiftSettings: settings),
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["LocalServers", "RPC", "RPCTransport", "Schema", "TestWorld", "chancery"],
      path: "Tests/EndToEndTests",
      exclude: ["check-formats.py"],
      swiftSettings: settings),
    .testTarget(
      name: "FaultyNetworkingTests",
      dependencies: [
        "FaultyNetworking", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .testTarget(
      name: "DashboardTests", dependencies: ["Dashboard", "Telemetry"], exclude: ["Frames"], swiftSettings: settings),
    .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "TimeAndChance"], swiftSettings: settings),
    .testTarget(name: "FailpointTests", dependencies: ["Failpoints"], swiftSettings: settings),
    // What libFuzzer runs: see Tests/Fuzzing/fuzz.
    .target(
      name: "Fuzzing",
      dependencies: [
        "Domain", "DynamicMessages", "ProtobufRuntime", "RPC", "RPCTestSupport", "Schema", "Signing", "TestSchema",
        "TimeAndChance",
      ], path: "Tests/Fuzzing/Harness", swiftSettings: settings),
    // What tests share.
    .target(
      name: "TestWorld",
      dependencies: [
        "Domain", "Storage", "Telemetry", "TimeAndChance", .product(name: "DequeModule", package: "swift-collections"),
      ], path: "Tests/TestWorld", swiftSettings: settings),
    .target(
      name: "StorageConformance", dependencies: ["Domain", "Storage", "TimeAndChance"],
      path: "Tests/StorageConformance", swiftSettings: settings),
    .testTarget(
      name: "StorageTests", dependencies: ["Domain", "Storage", "StorageConformance", "TimeAndChance"],
      swiftSettings: settings),
    .testTarget(
      name: "PostgresStorageTests",
      dependencies: [
        "DedicatedThreads", "Domain", "LocalServers", "PostgresDriver", "PostgresStorage", "Storage",
        "StorageConformance", "TimeAndChance",
      ], swiftSettings: settings),
    .testTarget(
      name: "LeaseCacheTests",
      dependencies: [
        "DedicatedThreads", "Domain", "LocalServers", "RedisDriver", "RedisLeases", "Storage", "TimeAndChance",
      ], swiftSettings: settings),
    .testTarget(
      name: "LoggerServiceTests",
      dependencies: [
        "Domain", "LoggerService", "RPC", "RPCMemory", "Schema", "Storage", "Telemetry", "TestWorld", "TimeAndChance",
        "Translation",
      ], swiftSettings: settings),
    .testTarget(
      name: "KeyKeeperServiceTests",
      dependencies: [
        "DedicatedThreads", "Domain", "KeyKeeperService", "RPC", "RPCMemory", "Schema", "Signing", "Simulation",
        "Storage", "Telemetry", "TestWorld", "TimeAndChance",
      ], swiftSettings: settings),
    .testTarget(
      name: "ServiceHostTests",
      dependencies: [
        "Domain", "RPC", "RPCMemory", "RPCTransport", "RPCTestSupport", "Schema", "ServiceHost", "Storage", "Telemetry",
        "TestWorld", "TimeAndChance", .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
      ], swiftSettings: settings),
  ]
)
