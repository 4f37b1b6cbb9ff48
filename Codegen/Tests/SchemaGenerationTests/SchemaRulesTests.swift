import SchemaGeneration
import Testing

// Proves that what cannot be generated is refused with an error that names the element and the remedy, and never turned
// into code that does not compile, by feeding the generator one small schema for each rule.
@Suite struct SchemaRulesTests {
  /// A schema in package p.v1 with the given declarations, and the one line that the generator answers.
  struct Case: Sendable, CustomTestStringConvertible {
    let declarations: String
    let problem: String
    var testDescription: String { declarations }
  }

  static let cases = [
    Case(
      declarations: "message M { optional int32 a = 1; }",
      problem: "test.proto: p.v1.M.a: protoc-c 1.4.1 refuses 'optional'; write: oneof _a { … a = 1; }"),
    Case(
      declarations: "message M { int32 base = 1; }",
      problem:
        "test.proto: p.v1.M: field base and protoc-c's header of each struct both become the C member 'base'; rename one"
    ),
    Case(
      declarations: "message M { repeated int32 x = 1; int32 n_x = 2; }",
      problem: "test.proto: p.v1.M: field n_x and the count of field x both become the C member 'n_x'; rename one"),
    Case(
      declarations: "message M { oneof x { int32 a = 1; int32 b = 2; } int32 x_case = 3; }",
      problem: "test.proto: p.v1.M: the case of oneof x and field x_case both become the C member 'x_case'; rename one"),
    Case(
      declarations: "message String { int32 a = 1; }",
      problem: "test.proto: p.v1.String: would hide Swift's or the runtime's String in generated code; rename it"),
    Case(
      declarations: "message M { enum Int32 { X = 0; } }",
      problem: "test.proto: p.v1.M.Int32: would hide Swift's or the runtime's Int32 in generated code; rename it"),
    Case(
      declarations: "message M {} service RPCError { rpc A(M) returns (M); }",
      problem: "test.proto: p.v1.RPCError: would hide Swift's or the runtime's RPCError in generated code; rename it"),
    Case(
      declarations: "message M { int32 foo_bar = 1; oneof fooBar { int32 c = 2; int32 d = 3; } }",
      problem: "test.proto: p.v1.M: oneof fooBar and field foo_bar both become 'fooBar' in Swift; rename one"),
    Case(
      declarations: "message M { int32 protobuf_bytes = 1; }",
      problem:
        "test.proto: p.v1.M: field protobuf_bytes and the message's method both become 'protobufBytes' in Swift; rename one"
    ),
    Case(
      declarations: "message M { message Body {} oneof body { int32 a = 1; int32 b = 2; } }",
      problem: "test.proto: p.v1.M: oneof body and the nested type both become 'Body' in Swift; rename one"),
    Case(
      declarations: "message M { oneof body { int32 none = 1; int32 b = 2; } }",
      problem:
        "test.proto: p.v1.M: a oneof member 'none' is mistaken for Optional.none in Swift; rename it"),
    Case(
      declarations: "message M { oneof error { int32 a = 1; int32 b = 2; } }",
      problem: "test.proto: p.v1.M: oneof error would hide the type Error; rename it"),
    Case(
      declarations: "// @view\nmessage M { message View {} }",
      problem: "test.proto: p.v1.M: the view and the nested type both become 'View' in Swift; rename one"),
    Case(
      declarations: "// @view\nmessage M { int32 storage = 1; }",
      problem: "test.proto: p.v1.M: field storage and the view's storage both become 'storage' in Swift; rename one"),
    Case(
      declarations: "message M {\n// @view\nint32 a = 1; }",
      problem: "test.proto: p.v1.M.a: only a message can have a view; remove the comment line @view"),
    Case(
      declarations: "// @viwe\nmessage M {}",
      problem:
        "test.proto: p.v1.M: the comment line @viwe is no directive of the generator; the only one is @view"),
    Case(
      declarations: "enum E { E_UNRECOGNIZED = 0; }",
      problem:
        "test.proto: p.v1.E: value 0 and the case for unknown numbers both become 'unrecognized' in Swift; rename one"),
    Case(
      declarations: "message M {} service S { rpc Methods(M) returns (M); }",
      problem: "test.proto: p.v1.S: method Methods and the list of methods both become 'methods' in Swift; rename one"),
    Case(
      declarations: "message M {} service S { rpc Channel(M) returns (M); }",
      problem: "test.proto: p.v1.S: a method may not be called 'channel', a name the stubs use; rename it"),
    Case(
      declarations: "option optimize_for = CODE_SIZE; message M {}",
      problem: "test.proto: optimize_for = CODE_SIZE leaves out the field names that errors need; remove it"),
  ]

  @Test(arguments: cases) func `an unsupported schema is refused`(example: Case) throws {
    let problems = try problems("syntax = \"proto3\"; package p.v1;\n\(example.declarations)")
    #expect(problems.contains(example.problem), "\(problems)")
  }

  @Test func `proto2 with all it brings is refused`() throws {
    let text = "syntax = \"proto2\"; package p; message M { required group G = 1 {} extensions 5; }"
    #expect(
      try problems(text) == ["test.proto: uses proto2; only proto3 is supported, so begin with: syntax = \"proto3\";"])
  }

  @Test func `a file without a package is refused`() throws {
    let text = "syntax = \"proto3\"; message M {} service S { rpc A(M) returns (M); }"
    #expect(try problems(text) == ["test.proto: has no package; add one, such as: package chancery.v1;"])
  }

  @Test func `well-known types are refused`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("syntax = \"proto3\"; package google.protobuf; message Any {}", to: "google/protobuf/any.proto")
    try directory.write(
      "syntax = \"proto3\"; package p; import \"google/protobuf/any.proto\"; message M { google.protobuf.Any a = 1; }",
      to: "test.proto")
    let expected =
      "test.proto: imports google/protobuf/any.proto, whose types and options are not supported; "
      + "declare what you need yourself"
    #expect(try problems(in: directory) == [expected])
  }

  @Test func `all problems are reported at once`() throws {
    let text = "syntax = \"proto3\"; package p; message M { optional int32 a = 1; int32 base = 2; } message Bool {}"
    #expect(try problems(text).count == 3)
  }

  @Test func `bytes that are no descriptor set are refused`() {
    let options = SchemaGenerator.Options(cModule: "C", descriptorsName: "D")
    #expect(throws: (any Error).self) { try SchemaGenerator(descriptorSet: [0xff], options: options) }
  }

  private func problems(_ text: String) throws -> [String] {
    let directory = try TemporaryDirectory()
    try directory.write(text, to: "test.proto")
    return try problems(in: directory)
  }

  private func problems(in directory: borrowing TemporaryDirectory) throws -> [String] {
    let set = try ProtoCompiler.descriptorSet(of: directory.url)
    let options = SchemaGenerator.Options(cModule: "C", descriptorsName: "D")
    do {
      _ = try SchemaGenerator(descriptorSet: set, options: options)
      return []
    } catch let error as SchemaError {
      return error.problems.map(\.description)
    }
  }
}
