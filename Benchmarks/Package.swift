// swift-tools-version:6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// What is measured against; also compiled in, so that every result names it.
let grpc: Version = "2.4.3"
let grpcTransport: Version = "2.9.2"
let nio: Version = "2.101.2"

// A package of its own, so that the service does not depend on grpc-swift.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/grpc/grpc-swift-2.git", exact: grpc),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport.git", exact: grpcTransport),
    .package(url: "https://github.com/apple/swift-nio.git", exact: nio),
    .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
  ],
  targets: [
    .executableTarget(
      name: "compare",
      dependencies: [
        "CPeerVersions", "Measurement", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: settings),
    .executableTarget(
      name: "grpc-echo",
      dependencies: [
        "Measurement", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .executableTarget(
      name: "nio-floor",
      dependencies: [
        "Measurement", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .target(
      name: "Measurement", dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: settings),
    .target(
      name: "CPeerVersions",
      cSettings: [
        .define("GRPC_VERSION", to: "\"\(grpc)\""),
        .define("GRPC_TRANSPORT_VERSION", to: "\"\(grpcTransport)\""),
        .define("NIO_VERSION", to: "\"\(nio)\""),
      ]),
  ]
)
