import DynamicMessages
import Foundation
import ProtobufRuntime
import TestSchema
import Testing

/// The JSON of messages, written down: names, numbers, enums, bytes, maps, presence; and what is refused, with the reason.
@Suite struct JSONTests {
  private let types: SchemaTypeSet

  init() throws { types = try SchemaTypeSet(fileDescriptorSet: TestSchemaDescriptors.fileDescriptorSet) }

  private func json(_ message: some ProtobufMessage, includesDefaults: Bool = false) throws -> String {
    let value = try types.json(
      try message.protobufBytes()[...], as: type(of: message).protobufName, includesDefaults: includesDefaults)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private func message<M: ProtobufMessage>(_ text: String, as type: M.Type = M.self) throws -> M {
    let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    return try M(protobuf: try types.bytes(value, as: M.protobufName))
  }

  private func refusal(_ text: String, as name: String) -> String {
    do {
      let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
      return "taken: \(try types.bytes(value, as: name))"
    } catch {
      return "\(error)"
    }
  }

  @Test func `scalars have the forms of the mapping`() throws {
    let scalars = ChanceryTestingV1.Scalars(
      doubleValue: -.infinity, floatValue: 0.1, int32Value: -1, int64Value: .min, uint32Value: .max,
      uint64Value: .max, sint32Value: -2, sint64Value: -3, fixed32Value: .max, fixed64Value: .max, sfixed32Value: -4,
      sfixed64Value: -5, boolValue: true, stringValue: "a\"é", bytesValue: [0xFB, 0xFF], colorValue: .deepBlue)
    #expect(
      try json(scalars)
        == #"{"boolValue":true,"bytesValue":"+/8=","colorValue":"COLOR_DEEP_BLUE","doubleValue":"-Infinity","#
        + #""fixed32Value":4294967295,"fixed64Value":"18446744073709551615","floatValue":0.1,"int32Value":-1,"#
        + #""int64Value":"-9223372036854775808","sfixed32Value":-4,"sfixed64Value":"-5","sint32Value":-2,"#
        + #""sint64Value":"-3","stringValue":"a\"é","uint32Value":4294967295,"uint64Value":"18446744073709551615"}"#)
  }

  @Test func `defaults are left out or shown`() throws {
    #expect(try json(ChanceryTestingV1.Scalars()) == "{}")
    let all = try json(ChanceryTestingV1.Scalars(), includesDefaults: true)
    #expect(all.contains(#""bytesValue":"","colorValue":"COLOR_UNSPECIFIED","doubleValue":0"#), "\(all)")
    #expect(try json(ChanceryTestingV1.Choice(), includesDefaults: true) == #"{"note":""}"#)
    #expect(try json(ChanceryTestingV1.Choice(value: .number(0))) == #"{"number":"0"}"#)
    let packed = ChanceryTestingV1.Packed(int32S: [0, -1], colors: [.red])
    #expect(try json(packed) == #"{"colors":["COLOR_RED"],"int32s":[0,-1]}"#)
  }

  @Test func `values may be given in several forms`() throws {
    let scalars: ChanceryTestingV1.Scalars = try message(
      #"{"double_value":"NaN","floatValue":"1.5","int32Value":"-7","int64Value":-8,"uint64Value":18446744073709551615,"#
        + #""sint64Value":3.0,"bytesValue":"-_8","colorValue":-1,"stringValue":null}"#)
    #expect(scalars.doubleValue.isNaN && scalars.floatValue == 1.5 && scalars.int32Value == -7)
    #expect(scalars.int64Value == -8 && scalars.uint64Value == .max && scalars.sint64Value == 3)
    #expect(scalars.bytesValue == [0xFB, 0xFF] && scalars.colorValue == .below && scalars.stringValue.isEmpty)
    let alias: ChanceryTestingV1.Scalars = try message(#"{"colorValue":"COLOR_CRIMSON"}"#)
    #expect(alias.colorValue == .red)
  }

  @Test func `maps have text as keys`() throws {
    let maps: ChanceryTestingV1.Maps = try message(
      #"{"labels":{"a":"b"},"blobs":{"-1":"AA=="},"colors":{"true":"COLOR_RED"},"scalars":{"5":{}}}"#)
    #expect(maps.labels == ["a": "b"] && maps.blobs == [-1: [0]] && maps.colors == [true: .red])
    #expect(maps.scalars == [5: ChanceryTestingV1.Scalars()])
    #expect(
      try json(maps)
        == #"{"blobs":{"-1":"AA=="},"colors":{"true":"COLOR_RED"},"labels":{"a":"b"},"scalars":{"5":{}}}"#)
  }

  @Test(arguments: [
    ("[]", "expected an object for chancery.testing.v1.Scalars, not an array"),
    (#"{"int32Value":2147483648}"#, "int32_value: expected a whole number from -2147483648 to 2147483647"),
    (#"{"int32Value":1.5}"#, "int32_value: expected a whole number from -2147483648 to 2147483647"),
    (#"{"uint64Value":"-1"}"#, "uint64_value: expected a whole number from 0 to 18446744073709551615"),
    (#"{"boolValue":"true"}"#, "bool_value: expected true or false, not a string"),
    (#"{"stringValue":1}"#, "string_value: expected a string, not a number"),
    (#"{"bytesValue":"%"}"#, "bytes_value: expected bytes in base64, not a string"),
    (#"{"floatValue":1e300}"#, "float_value: it is too large for a float"),
    (#"{"doubleValue":"x"}"#, "double_value: expected a number"),
    (
      #"{"colorValue":"RED"}"#,
      "color_value: chancery.testing.v1.Color has no value 'RED'; it has COLOR_UNSPECIFIED, COLOR_RED, COLOR_CRIMSON, "
        + "COLOR_DEEP_BLUE, COLOR_BELOW"
    ),
    (#"{"int32Value":1,"int32_value":2}"#, "it is given as both int32Value and int32_value"),
  ]) func `what a field does not take is refused`(text: String, reason: String) {
    #expect(refusal(text, as: "chancery.testing.v1.Scalars") == reason)
  }

  @Test func `the place of a fault is named`() {
    #expect(
      refusal(#"{"middles":[{},{"inners":[{"depth":"x"}]}]}"#, as: "chancery.testing.v1.Outer")
        == "middles[1].inners[0].depth: expected a whole number from -2147483648 to 2147483647")
    #expect(
      refusal(#"{"inner":{"depht":1}}"#, as: "chancery.testing.v1.Outer.Middle")
        == "inner: chancery.testing.v1.Outer.Middle.Inner has no field 'depht'; it has depth")
    #expect(
      refusal(#"{"number":1,"text":"x"}"#, as: "chancery.testing.v1.Choice")
        == "only one of number and text can be set")
    #expect(refusal("{}", as: "nowhere.Message") == "the schema does not hold 'nowhere.Message'")
  }

  @Test(
    arguments: [
      ([0x09, 1], "8 bytes announced at byte 1, 1 left"), ([0x0A], "has no end"), ([0x18, 0x80], "has no end"),
      ([0x19, 0, 0, 0, 0, 0, 0, 0, 0], "int32_value: it has another type on the wire than in the schema"),
      ([0x72, 1, 0xFF], "string_value: the text is not valid UTF-8"), ([0x0B], "groups are not supported"),
    ] as [([UInt8], String)]) func `bytes that are no message are refused`(bytes: [UInt8], reason: String)
  {
    let error = #expect(throws: DynamicMessageError.self) {
      try types.json(bytes[...], as: "chancery.testing.v1.Scalars")
    }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  /// A number of more bits than its field has is cut, and then read: found by fuzzing.
  @Test func `numbers that are too wide are cut`() throws {
    let bytes: [UInt8] = [0x38, 0xE1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0D]
    let typed = try ChanceryTestingV1.Scalars(protobuf: bytes)
    #expect(typed.sint32Value == -2_147_483_633)
    let value = try types.json(bytes[...], as: "chancery.testing.v1.Scalars")
    #expect(value == .object(["sint32Value": .integer(-2_147_483_633)]))
  }

  /// A block without elements is as if it were not there: found by fuzzing.
  @Test func `empty blocks are nothing`() throws {
    let value = try types.json([0x1A, 0], as: "chancery.testing.v1.Packed")
    #expect(value == .object([:]))
  }

  @Test func `endless nesting is refused`() {
    var bytes: [UInt8] = []
    for _ in 0..<120 {
      var outer: [UInt8] = [0x1A]
      var count = bytes.count
      while count > 0x7F {
        outer.append(UInt8(count & 0x7F) | 0x80)
        count >>= 7
      }
      bytes = outer + [UInt8(count)] + bytes
    }
    let error = #expect(throws: DynamicMessageError.self) {
      try types.json(bytes[...], as: "chancery.testing.v1.Tree")
    }
    #expect(error?.reason == "messages are nested deeper than 100 levels")
  }
}
