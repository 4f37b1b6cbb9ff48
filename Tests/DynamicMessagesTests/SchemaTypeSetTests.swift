import DynamicMessages
import ProtobufRuntime
import Schema
import TestSchema
import Testing

/// What is found in a schema by name, and how it is written.
@Suite struct SchemaTypeSetTests {
  private let shipped: SchemaTypeSet
  private let tests: SchemaTypeSet

  init() throws {
    shipped = try SchemaTypeSet(fileDescriptorSet: SchemaDescriptors.fileDescriptorSet)
    tests = try SchemaTypeSet(fileDescriptorSet: TestSchemaDescriptors.fileDescriptorSet)
  }

  @Test func `methods are found as tools write them`() throws {
    for path in ["chancery.v1.Jobs/Get", "/chancery.v1.Jobs/Get", "chancery.v1.Jobs.Get"] {
      let method = try #require(shipped.method(path), "\(path)")
      #expect(method.path == "chancery.v1.Jobs/Get" && method.request == "chancery.v1.GetJobRequest")
      #expect(method.reply == "chancery.v1.Job" && method.idempotency == 1 && !method.streamsReplies)
    }
    for path in ["", "Get", "chancery.v1.Jobs", "chancery.v1.Jobs/get", "chancery.v1.Nobody/Get"] {
      #expect(shipped.method(path) == nil, "\(path)")
    }
    let work = try #require(shipped.method("chancery.v1.Batches/Work"))
    #expect(work.streamsRequests && work.streamsReplies && work.idempotency == 0)
  }

  @Test func `everything has its text, with comments`() throws {
    #expect(
      shipped.text(of: "chancery.v1.HealthCheckRequest") == """
        // Names whose health is asked for.
        message chancery.v1.HealthCheckRequest {
          // The full name of a service, for instance `chancery.v1.Jobs`, at most 200 bytes. Empty for the server as a whole.
          string service = 1;
        }

        """)
    #expect(
      tests.text(of: "chancery.testing.v1.Color") == """
        // Colours, with a negative number and an alias.
        enum chancery.testing.v1.Color {
          // No colour was given.
          COLOR_UNSPECIFIED = 0;
          COLOR_RED = 1;
          COLOR_CRIMSON = 1;
          COLOR_DEEP_BLUE = 2;
          // A colour below all others.
          COLOR_BELOW = -1;
        }

        """)
    let choice = try #require(tests.text(of: "chancery.testing.v1.Choice"))
    #expect(choice.contains("  oneof value {\n    // A number of either sign.\n    int64 number = 1;\n"), "\(choice)")
    #expect(choice.contains("    chancery.testing.v1.Choice inner = 7;\n    float ratio = 9;\n  }\n"), "\(choice)")
    let maps = try #require(tests.text(of: "chancery.testing.v1.Maps"))
    #expect(maps.contains("  map<bool, chancery.testing.v1.Color> colors = 4;\n"), "\(maps)")
    let work = try #require(shipped.text(of: "chancery.v1.Batches/Work"))
    #expect(work.hasSuffix("rpc Work(stream chancery.v1.WorkRequest) returns (stream chancery.v1.WorkResponse);\n"))
    #expect(shipped.text(of: "chancery.v1.Jobs")?.contains("\n  rpc Submit(") == true)
    #expect(shipped.text(of: "chancery.v1.Nothing") == nil)
  }

  @Test func `each registered type is there`() {
    for type in SchemaDescriptors.messageTypes { #expect(shipped.message(type.protobufName) != nil) }
    #expect(shipped.typeNames.contains("chancery.v1.HealthCheckResponse.ServingStatus"))
    #expect(!tests.typeNames.contains { $0.hasSuffix("Entry") })
  }

  @Test func `bytes that are no schema are refused`() {
    #expect(throws: DynamicMessageError.self) { try SchemaTypeSet(fileDescriptorSet: [0x0A]) }
    // A service whose messages are not in it.
    let set = SchemaDescriptors.fileDescriptorSet
    #expect(throws: DynamicMessageError.self) { try SchemaTypeSet(fileDescriptorSet: Array(set.dropLast(10))) }
  }
}
