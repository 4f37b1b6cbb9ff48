import Foundation
import SchemaGeneration
import Testing

// Proves that the generator's output changes only on purpose: the files generated from Samples/ equal those in Golden/,
// as they are before `swift format`. After a deliberate change, run
//
//   UPDATE_GOLDEN=1 swift test --package-path Codegen --filter GoldenTests
//
// and review the difference. The generated test schema of the main package proves that such output compiles and works.
@Suite struct GoldenTests {
  private static let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  private static let golden = here.appendingPathComponent("Golden")

  private static func generate() throws -> [SchemaGenerator.File] {
    let set = try ProtoCompiler.descriptorSet(of: here.appendingPathComponent("Samples"))
    let options = SchemaGenerator.Options(cModule: "CSample", descriptorsName: "SampleDescriptors")
    let generator = try SchemaGenerator(descriptorSet: set, options: options)
    return generator.swiftFiles() + generator.cFiles()
  }

  @Test func `generated files equal the golden files`() throws {
    let files = try Self.generate()
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil { try Self.update(files) }
    for file in files {
      let expected = try String(contentsOf: Self.url(of: file), encoding: .utf8)
      #expect(Self.firstDifference(file.content, expected) == nil, "\(file.path)")
    }
    let committed = try FileManager.default.contentsOfDirectory(atPath: Self.golden.path)
    #expect(Set(committed) == Set(files.map { Self.url(of: $0).lastPathComponent }))
  }

  @Test func `generating twice gives the same`() throws {
    #expect(try Self.generate() == Self.generate())
  }

  private static func update(_ files: [SchemaGenerator.File]) throws {
    try? FileManager.default.removeItem(at: golden)
    try FileManager.default.createDirectory(at: golden, withIntermediateDirectories: true)
    for file in files { try Data(file.content.utf8).write(to: url(of: file)) }
  }

  /// The suffix keeps compilers and linters away.
  private static func url(of file: SchemaGenerator.File) -> URL {
    golden.appendingPathComponent(file.path.replacing("/", with: "-") + ".golden")
  }

  private static func firstDifference(_ left: String, _ right: String) -> String? {
    let (left, right) = (left.components(separatedBy: "\n"), right.components(separatedBy: "\n"))
    for index in 0..<max(left.count, right.count) {
      let (ours, theirs) = (index < left.count ? left[index] : "", index < right.count ? right[index] : "")
      if ours != theirs || index >= min(left.count, right.count) {
        return "line \(index + 1): generated '\(ours)', golden '\(theirs)'"
      }
    }
    return nil
  }
}
