/// Names a call on its connection. Clients choose odd ids that rise strictly; even ids and 0 are reserved.
struct StreamID: RawRepresentable, Hashable, Comparable, Sendable {
  let rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }

  init(_ rawValue: UInt32) { self.rawValue = rawValue }

  /// Below every id.
  static let none = StreamID(0)
  static let first = StreamID(1)
  /// The last id that our clients use: larger ones belong to the extensions.
  static let last = StreamID(0x7FFF_FFFF)

  /// Stands for the connection in frames of the extensions that are about no call.
  static let connection = StreamID(0xFFFF_FFFF)

  /// Whether a client may choose it.
  var isOdd: Bool { rawValue % 2 == 1 }

  static func < (left: StreamID, right: StreamID) -> Bool { left.rawValue < right.rawValue }
}

extension StreamID: CustomStringConvertible {
  var description: String { "\(rawValue)" }
}
