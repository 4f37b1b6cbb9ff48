// swift-tools-version:6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// A package of its own, so that the service does not depend on SwiftProtobuf.
let package = Package(
  name: "Codegen",
  products: [.executable(name: "chancery-codegen", targets: ["chancery-codegen"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-protobuf.git", exact: "1.39.0")
  ],
  targets: [
    .target(
      name: "SchemaGeneration",
      dependencies: [
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "SwiftProtobufPluginLibrary", package: "swift-protobuf"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "chancery-codegen", dependencies: ["SchemaGeneration"], swiftSettings: settings),
    .testTarget(
      name: "SchemaGenerationTests", dependencies: ["SchemaGeneration"], exclude: ["Golden", "Samples"],
      swiftSettings: settings),
  ]
)
