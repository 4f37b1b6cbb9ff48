/// Why a message could not be decoded or encoded.
///
/// The fault is always in the bytes or in the value, never in the world: trying again cannot help. No error carries
/// content of the message, which may be secret.
public struct ProtobufError: Error, Hashable {
  /// What kind of fault it is.
  public var code: Code
  /// The full name of the outermost message type, for instance `chancery.v1.BatchChunk`.
  public var messageName: String
  /// The fields that lead from the outermost message to the fault, outermost first; empty for the message itself.
  public var fieldPath: [String]
  /// What is wrong, with the offending figures and, where one was exceeded, the limit.
  public var reason: String

  /// Makes an error.
  public init(code: Code, messageName: String, fieldPath: [String] = [], reason: String) {
    self.code = code
    self.messageName = messageName
    self.fieldPath = fieldPath
    self.reason = reason
  }

  /// The kinds of fault. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// A stable name, such as `truncated`.
    public let rawValue: String

    /// Makes a code from its name.
    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The bytes end in the middle of a field.
    public static let truncated = Code(rawValue: "truncated")
    /// The bytes are not the wire format: a bad tag, varint, packed field or wire type.
    public static let malformed = Code(rawValue: "malformed")
    /// The bytes hold a proto2 group, which is not supported.
    public static let group = Code(rawValue: "group")
    /// The message exceeds ``DecodeLimits/maximumBytes``, or 2 GiB when encoded.
    public static let tooLarge = Code(rawValue: "tooLarge")
    /// Messages are nested deeper than ``DecodeLimits/maximumDepth``.
    public static let tooDeep = Code(rawValue: "tooDeep")
    /// Repeated fields hold more than ``DecodeLimits/maximumRepeatedCount`` elements.
    public static let tooManyElements = Code(rawValue: "tooManyElements")
    /// The unpacked message exceeds ``DecodeLimits/maximumArenaBytes``, or memory ran out.
    public static let outOfMemory = Code(rawValue: "outOfMemory")
    /// A string field is not valid UTF-8.
    public static let invalidUTF8 = Code(rawValue: "invalidUTF8")
    /// A string field holds a NUL.
    public static let embeddedNUL = Code(rawValue: "embeddedNUL")

    /// The code's name.
    public var description: String { rawValue }
  }
}

extension ProtobufError: CustomStringConvertible {
  /// Message type, field path and reason in one line.
  public var description: String {
    let place = fieldPath.isEmpty ? messageName : "\(messageName), field \(fieldPath.joined(separator: "."))"
    return "\(place): \(reason)"
  }
}

extension ProtobufError {
  /// A fault whose place is filled in while the error travels outwards.
  init(_ code: Code, _ reason: String) {
    self.init(code: code, messageName: "", reason: reason)
  }

  /// The same fault, seen from the message that holds `field`.
  consuming func inside(_ field: String) -> ProtobufError {
    fieldPath.insert(field, at: 0)
    return self
  }

  /// The same fault, seen from outside the outermost message.
  consuming func inside(message name: String) -> ProtobufError {
    messageName = name
    return self
  }
}
