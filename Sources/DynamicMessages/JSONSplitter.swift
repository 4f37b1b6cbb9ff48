/// Cuts text into the JSON objects that stand in it one after another, as the text comes in.
public struct JSONSplitter: Sendable {
  private var bytes: [UInt8] = []
  /// How far the text was looked at, what it was inside of there, and how deep.
  private var position = 0
  private var depth = 0
  private var isInString = false
  private var isEscaped = false

  /// No text yet.
  public init() {}

  /// Takes more text.
  public mutating func append(_ text: [UInt8]) { bytes += text }

  /// How much text waits for the end of its object.
  public var pendingCount: Int { bytes.count }

  /// The next object that is complete; nil if there is none yet. What is no object comes as it is, up to the end of the text,
  /// for a parser to say what is wrong with it.
  public mutating func next() -> [UInt8]? {
    if depth == 0, position == 0 {
      bytes.removeFirst(bytes.prefix { Self.isSpace($0) }.count)
      guard let first = bytes.first else { return nil }
      guard first == UInt8(ascii: "{") else { return take(bytes.count) }
    }
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if isEscaped {
        isEscaped = false
      } else if isInString {
        if byte == UInt8(ascii: "\\") { isEscaped = true }
        if byte == UInt8(ascii: "\"") { isInString = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          depth -= 1
          if depth == 0 { return take(position) }
        default: break
        }
      }
    }
    return nil
  }

  /// What is left at the end of the text; nil if that is only space.
  public mutating func rest() -> [UInt8]? {
    let rest = Array(bytes.drop { Self.isSpace($0) })
    bytes = []
    return rest.isEmpty ? nil : rest
  }

  private mutating func take(_ count: Int) -> [UInt8] {
    let taken = Array(bytes[..<count])
    bytes.removeFirst(count)
    (position, depth, isInString, isEscaped) = (0, 0, false, false)
    return taken
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || (UInt8(ascii: "\t")...UInt8(ascii: "\r")).contains(byte)
  }
}
