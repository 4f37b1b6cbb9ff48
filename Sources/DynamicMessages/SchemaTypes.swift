/// A service of a schema.
public struct ServiceType: Sendable, Hashable {
  /// The full name, such as `chancery.v1.Jobs`.
  public var name: String
  /// What the schema says of it.
  public var comment: String
  /// Its methods, in the order of the schema.
  public var methods: [MethodType]
}

/// A method of a service.
public struct MethodType: Sendable, Hashable {
  /// The full name of its service.
  public var service: String
  /// Its name, such as `Submit`.
  public var name: String
  /// The full name of the message that callers send.
  public var request: String
  /// The full name of the message that servers answer with.
  public var reply: String
  /// Whether callers send a stream of messages.
  public var streamsRequests = false
  /// Whether servers send a stream of messages.
  public var streamsReplies = false
  /// `idempotency_level` of the schema: 0 for unknown, 1 for no side effects, 2 for idempotent.
  public var idempotency = 0
  /// What the schema says of it.
  public var comment: String

  /// `service/method`, as it is called.
  public var path: String { "\(service)/\(name)" }
}

/// A message of a schema.
public struct MessageType: Sendable, Hashable {
  /// The full name.
  public var name: String
  /// What the schema says of it.
  public var comment: String
  /// Its fields, in the order of the schema.
  public var fields: [FieldType] = []
  /// The names of its oneofs; those that stand for an `optional` field are left out of texts.
  public var oneofs: [String] = []
  /// Whether it is the entry of a map, with the fields `key` and `value`.
  public var isMapEntry = false

  func field(number: UInt32) -> FieldType? { fields.first { $0.number == number } }
}

/// A field of a message.
public struct FieldType: Sendable, Hashable {
  /// What a field holds, by the numbers of `google.protobuf.FieldDescriptorProto.Type`.
  public enum Kind: UInt64, Sendable, Hashable {
    case double = 1
    case float, int64, uint64, int32, fixed64, fixed32, bool, string, group, message, bytes, uint32, `enum`, sfixed32
    case sfixed64, sint32, sint64

    /// Whether elements of a repeated field may stand in one block.
    var isPackable: Bool { self != .string && self != .message && self != .bytes && self != .group }
  }

  /// The name in the schema.
  public var name: String
  /// The name in JSON.
  public var jsonName: String
  /// The number on the wire.
  public var number: UInt32
  /// What it holds.
  public var kind: Kind
  /// The full name of its message or enum; empty for others.
  public var typeName: String
  /// Whether it holds any number of elements.
  public var isRepeated = false
  /// Whether its elements are written in one block.
  public var isPacked = true
  /// Whether a value that is not set differs from the default.
  public var hasPresence = false
  /// The index of its oneof, among those of the message.
  public var oneof: Int?
  /// Whether it is declared `optional`.
  public var isOptional = false
  /// What the schema says of it.
  public var comment: String
}

/// An enum of a schema.
public struct EnumType: Sendable, Hashable {
  /// A value.
  public struct Value: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The number on the wire.
    public var number: Int32
    /// What the schema says of it.
    public var comment: String
  }

  /// The full name.
  public var name: String
  /// What the schema says of it.
  public var comment: String
  /// Its values, in the order of the schema; several may have one number.
  public var values: [Value] = []
}
