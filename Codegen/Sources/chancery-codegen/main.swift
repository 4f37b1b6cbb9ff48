internal import Foundation
internal import SchemaGeneration

// chancery-codegen DESCRIPTOR_SET C_MODULE DESCRIPTORS_NAME SWIFT_DIRECTORY C_DIRECTORY
//
// Reads a descriptor set with source info and writes the Swift and C files into two existing directories. Meant to be
// called by Codegen/generate, which also runs protoc-c and formats the result.

func write(_ files: [SchemaGenerator.File], into directory: String) throws {
  for file in files {
    let url = URL(fileURLWithPath: directory).appendingPathComponent(file.path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(file.content.utf8).write(to: url)
  }
}

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data("\(message)\n".utf8))
  exit(1)
}

let arguments = CommandLine.arguments
guard arguments.count == 6 else {
  fail("usage: chancery-codegen DESCRIPTOR_SET C_MODULE DESCRIPTORS_NAME SWIFT_DIRECTORY C_DIRECTORY")
}
do {
  let generator = try SchemaGenerator(
    descriptorSet: [UInt8](Data(contentsOf: URL(fileURLWithPath: arguments[1]))),
    options: SchemaGenerator.Options(cModule: arguments[2], descriptorsName: arguments[3]))
  try write(generator.swiftFiles(), into: arguments[4])
  try write(generator.cFiles(), into: arguments[5])
} catch {
  fail("\(error)")
}
