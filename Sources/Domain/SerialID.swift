/// A number that the database gave to one `Entity`, at least 1. Numbers of different entities are different types.
public struct SerialID<Entity>: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The number.
  public let rawValue: Int64

  /// Wraps a number.
  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// The number as 8 bytes, most significant first, as it is authenticated with an encrypted key.
  public var bytes: [UInt8] { withUnsafeBytes(of: rawValue.bigEndian) { Array($0) } }

  /// The number in decimal.
  public var description: String { String(rawValue) }

  /// The order in which the database gave them, where it gave them.
  public static func < (left: SerialID, right: SerialID) -> Bool { left.rawValue < right.rawValue }
}

/// Names a record within its source.
public typealias RecordID = SerialID<Record>
/// Names a source of records.
public typealias SourceID = SerialID<Source>
/// Names a key of the keyring.
public typealias KeyID = SerialID<Key>
