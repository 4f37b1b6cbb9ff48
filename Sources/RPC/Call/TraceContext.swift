public import TimeAndChance

/// Which trace a call belongs to, as it travels in the metadata `traceparent` and `tracestate`
/// (W3C Trace Context, https://www.w3.org/TR/trace-context/).
public struct TraceContext: Sendable, Hashable {
  /// The trace: 16 bytes as 32 hexadecimal digits.
  public let traceID: String
  /// The part of the trace that makes the call: 8 bytes as 16 hexadecimal digits.
  public let parentID: String
  /// Bit 0 says that the caller records the trace.
  public let flags: UInt8
  /// What tracing systems add; passed on as it is.
  public let state: String?

  /// A new trace.
  public init(random: some RandomSource, isSampled: Bool = false) {
    traceID = Self.hex(random.nextNonZero()) + Self.hex(random.next())
    parentID = Self.hex(random.nextNonZero())
    flags = isSampled ? 1 : 0
    state = nil
  }

  /// Reads the metadata of a call; nil if it has none that is valid, whose trace begins anew then.
  public init?(_ metadata: Metadata) {
    guard let text = metadata[Self.parentName] else { return nil }
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, Self.isHex(parts[0], 2), parts[0] != "ff", Self.isHex(parts[1], 32),
      Self.isHex(parts[2], 16),
      Self.isHex(parts[3], 2), let flags = UInt8(parts[3], radix: 16),
      // Only later versions may have more parts.
      parts.count == 4 || parts[0] != "00",
      parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" })
    else { return nil }
    traceID = String(parts[1])
    parentID = String(parts[2])
    self.flags = flags
    let states = metadata.values(for: Self.stateName).joined(separator: ",")
    state = states.isEmpty || states.utf8.count > Self.maximumStateBytes ? nil : states
  }

  private init(traceID: String, parentID: String, flags: UInt8, state: String?) {
    self.traceID = traceID
    self.parentID = parentID
    self.flags = flags
    self.state = state
  }

  /// The same trace, in a part of its own.
  public func child(random: some RandomSource) -> TraceContext {
    TraceContext(traceID: traceID, parentID: Self.hex(random.nextNonZero()), flags: flags, state: state)
  }

  /// Says in the metadata of a call which trace it belongs to.
  public func write(to metadata: inout Metadata) {
    let hexFlags = String(flags, radix: 16)
    metadata.replace(
      Self.parentName, with: "00-\(traceID)-\(parentID)-\(hexFlags.count == 1 ? "0" : "")\(hexFlags)")
    if let state { metadata.replace(Self.stateName, with: state) }
  }

  static let parentName = "traceparent"
  private static let stateName = "tracestate"
  /// What systems are asked to pass on.
  private static let maximumStateBytes = 512

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func isHex(_ text: Substring, _ count: Int) -> Bool {
    text.utf8.count == count
      && text.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }
  }
}

extension RandomSource {
  /// No id is all zeros.
  fileprivate func nextNonZero() -> UInt64 {
    while true {
      let value = next()
      if value != 0 { return value }
    }
  }
}
