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
    .package(url: "https://github.com/apple/swift-collections.git", exact: "1.6.0")
  ],
  targets: [
    .target(name: "TimeAndChance", swiftSettings: settings),
    .target(name: "Domain", swiftSettings: settings),
    .target(name: "Storage", dependencies: ["Domain"], swiftSettings: settings),
    .target(
      name: "Simulation", dependencies: ["TimeAndChance", .product(name: "HeapModule", package: "swift-collections")],
      swiftSettings: settings),
    .testTarget(name: "DomainTests", dependencies: ["Domain"], swiftSettings: settings),
    .testTarget(name: "TimeAndChanceTests", dependencies: ["TimeAndChance"], swiftSettings: settings),
    .testTarget(name: "SimulationTests", dependencies: ["Simulation", "TimeAndChance"], swiftSettings: settings),
  ]
)
