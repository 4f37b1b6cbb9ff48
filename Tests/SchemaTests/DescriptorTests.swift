import Foundation
import ProtobufRuntime
import Schema
import TestSchema
import Testing

// Proves that the embedded descriptor sets are what reflection needs: complete, self-contained and in the order of
// dependencies, as protoc reads them when it takes them instead of the `.proto` files.
@Suite struct DescriptorTests {
  @Test func `protoc can use the embedded descriptor sets`() throws {
    try expectUsable(SchemaDescriptors.fileDescriptorSet, "chancery/v1/batches.proto", "chancery.v1.WorkRequest")
    try expectUsable(
      TestSchemaDescriptors.fileDescriptorSet, "chancery/testing/v1/everything.proto", "chancery.testing.v1.Scalars")
  }

  private func expectUsable(_ set: [UInt8], _ file: String, _ message: String) throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "chancery-\(UUID()).descriptors")
    try Data(set).write(to: path)
    defer { try? FileManager.default.removeItem(at: path) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["protoc", "--descriptor_set_in=\(path.path())", "--decode=\(message)", file]
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(file)")
  }

  @Test func `every registered type is described`() {
    for (set, types) in [
      (SchemaDescriptors.fileDescriptorSet, SchemaDescriptors.messageTypes),
      (TestSchemaDescriptors.fileDescriptorSet, TestSchemaDescriptors.messageTypes),
    ] {
      #expect(!types.isEmpty)
      let text = String(decoding: set, as: UTF8.self)
      for type in types {
        let name = type.protobufName.split(separator: ".").last!
        #expect(text.contains(name), "\(type.protobufName)")
      }
    }
  }
}
