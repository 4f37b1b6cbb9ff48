/// A Lua script, which the server knows by the SHA-1 of its text once it has been loaded.
///
/// Make scripts `static let`: the hash is computed once.
public struct RedisScript: Sendable, Hashable {
  /// The text. It reads `KEYS` and `ARGV`.
  public let source: String
  /// The SHA-1 of the text in hexadecimal digits.
  public let sha1: String

  /// A script by its text.
  public init(_ source: String) {
    self.source = source
    sha1 = SHA1.hexadecimal(of: Array(source.utf8))
  }
}

/// A script with its keys and arguments, as a pipeline takes them.
public struct RedisCall: Sendable {
  /// What to run.
  public var script: RedisScript
  /// The keys that the script touches: its `KEYS`.
  public var keys: [RedisArgument]
  /// Its `ARGV`.
  public var arguments: [RedisArgument]

  /// A script with its keys and arguments.
  public init(_ script: RedisScript, keys: [RedisArgument] = [], arguments: [RedisArgument] = []) {
    self.script = script
    self.keys = keys
    self.arguments = arguments
  }
}

/// The hash function of FIPS 180-4, by which Redis names scripts. It protects nothing here.
enum SHA1 {
  static func hexadecimal(of message: [UInt8]) -> String {
    var state: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
      0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0
    )
    var padded = message + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    withUnsafeBytes(of: UInt64(message.count * 8).bigEndian) { padded.append(contentsOf: $0) }
    var schedule = [UInt32](repeating: 0, count: 80)
    for block in stride(from: 0, to: padded.count, by: 64) {
      for index in 0..<16 {
        schedule[index] = padded[(block + 4 * index)..<(block + 4 * index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
      }
      for index in 16..<80 {
        let word = schedule[index - 3] ^ schedule[index - 8] ^ schedule[index - 14] ^ schedule[index - 16]
        schedule[index] = rotate(word, 1)
      }
      var (a, b, c, d, e) = state
      for index in 0..<80 {
        let (function, constant): (UInt32, UInt32) =
          switch index {
          case 0..<20: (b & c | ~b & d, 0x5a82_7999)
          case 20..<40: (b ^ c ^ d, 0x6ed9_eba1)
          case 40..<60: (b & c | b & d | c & d, 0x8f1b_bcdc)
          default: (b ^ c ^ d, 0xca62_c1d6)
          }
        (a, b, c, d, e) = (rotate(a, 5) &+ function &+ e &+ constant &+ schedule[index], a, rotate(b, 30), c, d)
      }
      state = (state.0 &+ a, state.1 &+ b, state.2 &+ c, state.3 &+ d, state.4 &+ e)
    }
    return [state.0, state.1, state.2, state.3, state.4].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private static func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 {
    word << bits | word >> (32 - bits)
  }
}
