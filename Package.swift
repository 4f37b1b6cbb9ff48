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
    .package(url: "https://github.com/apple/swift-collections.git", exact: "1.6.0"),
  ],
  targets: [
    .target(name: "TimeAndChance", swiftSettings: settings),
    .target(name: "Domain", swiftSettings: settings),
    .target(name: "Storage", dependencies: ["Domain"], swiftSettings: settings),
    .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
    .target(name: "CSchema", dependencies: ["CProtobufC"]),
    .target(name: "ProtobufRuntime", dependencies: ["CProtobufC"], swiftSettings: settings),
    .target(name: "Schema", dependencies: ["CSchema", "ProtobufRuntime", "RPC"], swiftSettings: settings),
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
        .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .target(
      name: "Simulation", dependencies: ["TimeAndChance", .product(name: "HeapModule", package: "swift-collections")],
      swiftSettings: settings),
    // The test schema: generated as the shipped one is, but never shipped.
    .target(name: "CTestSchema", dependencies: ["CProtobufC"], path: "Tests/CTestSchema"),
    .target(
      name: "TestSchema", dependencies: ["CProtobufC", "CTestSchema", "ProtobufRuntime", "RPC"],
      path: "Tests/TestSchema", swiftSettings: settings),
    .testTarget(
      name: "ProtobufRuntimeTests", dependencies: ["ProtobufRuntime", "TestSchema"], swiftSettings: settings),
    .testTarget(
      name: "SchemaTests", dependencies: ["CProtobufC", "ProtobufRuntime", "RPC", "Schema", "TestSchema"],
      swiftSettings: settings),
    .testTarget(name: "DomainTests", dependencies: ["Domain"], swiftSettings: settings),
    .testTarget(name: "TimeAndChanceTests", dependencies: ["TimeAndChance"], swiftSettings: settings),
    .testTarget(name: "SimulationTests", dependencies: ["Simulation", "TimeAndChance"], swiftSettings: settings),
  ]
)
