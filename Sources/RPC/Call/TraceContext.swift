public import TimeAndChance

/// Which trace a call belongs to, as it travels in the metadata `traceparent` and `tracestate`
/// (W3C Trace Context, https://www.w3.org/TR/trace-context/).
public struct TraceContext: Sendable, Hashable {
  /// The trace: 16 bytes as 32 hexadecimal digits.
  public let traceID: String
  /// The part of the trace that makes the call, or does the work: 8 bytes as 16 hexadecimal digits.
  public let spanID: String
  /// Bit 0 says that the caller records the trace, bit 1 that the trace's id is random; the others are not passed on.
  public let flags: UInt8
  /// What tracing systems add; passed on as it is, up to 512 bytes.
  public let state: String?

  /// A new trace.
  public init(random: some RandomSource, isSampled: Bool = false) {
    self.init(
      traceID: Self.hex(random.nextNonZero()) + Self.hex(random.next()), spanID: Self.hex(random.nextNonZero()),
      flags: isSampled ? 1 : 0, state: nil)
  }

  /// A trace whose id is made of 16 bytes, of which the last eight name its first span too; nil where the standard takes such
  /// ids for none.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    let digits = bytes.map { Self.hex(UInt64($0)).suffix(2) }.joined()
    self.init(parent: "00-\(digits)-\(digits.suffix(16))-00")
  }

  /// Reads the two headers; nil if the first is not valid, as if there were none. A state that is longer than systems are asked
  /// to pass on, or that could not be metadata, is left out.
  public init?(parent: String, state: String? = nil) {
    let parts = parent.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, Self.isHex(parts[0], 2), parts[0] != "ff", Self.isHex(parts[1], 32),
      Self.isHex(parts[2], 16),
      Self.isHex(parts[3], 2), let flags = UInt8(parts[3], radix: 16),
      // Only later versions may have more parts.
      parts.count == 4 || parts[0] != "00",
      parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" })
    else { return nil }
    let isPassedOn =
      state.map { !$0.isEmpty && $0.utf8.count <= Self.maximumStateBytes && !$0.utf8.contains(0) } ?? false
    self.init(
      traceID: String(parts[1]), spanID: String(parts[2]), flags: flags & Self.knownFlags,
      state: isPassedOn ? state : nil)
  }

  /// Reads the metadata of a call; nil if it has none that is valid, or several: then the trace begins anew.
  public init?(_ metadata: Metadata) {
    let parents = metadata.values(for: Self.parentName)
    guard parents.count == 1 else { return nil }
    self.init(parent: parents[0], state: metadata.values(for: Self.stateName).joined(separator: ","))
  }

  private init(traceID: String, spanID: String, flags: UInt8, state: String?) {
    self.traceID = traceID
    self.spanID = spanID
    self.flags = flags
    self.state = state
  }

  /// The same trace, in a part of its own.
  public func child(random: some RandomSource) -> TraceContext {
    TraceContext(traceID: traceID, spanID: Self.hex(random.nextNonZero()), flags: flags, state: state)
  }

  /// The first header, 55 characters of version 00.
  public var parent: String { "00-\(traceID)-\(spanID)-\(Self.hex(UInt64(flags)).suffix(2))" }

  /// Says in the metadata of a call which trace it belongs to.
  public func write(to metadata: inout Metadata) {
    metadata.replace(Self.parentName, with: parent)
    if let state { metadata.replace(Self.stateName, with: state) }
  }

  static let parentName = "traceparent"
  private static let stateName = "tracestate"
  /// What systems are asked to pass on.
  private static let maximumStateBytes = 512
  private static let knownFlags: UInt8 = 0b11

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
