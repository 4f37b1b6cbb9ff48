/// The 32 bytes of a SHA-256 hash (FIPS 180-4): of a payload as it was signed, or of a public key as its fingerprint.
///
/// Held in place rather than in an array: one is made for every record.
public struct SHA256Digest: Hashable, Sendable {
  /// Length of a digest in bytes.
  public static let byteCount = 32

  private var words: (UInt64, UInt64, UInt64, UInt64)

  /// Lets a hash function write the 32 bytes in place; what it leaves unwritten is zero.
  public init<Failure: Error>(
    writingWith body: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Void
  ) throws(Failure) {
    words = (0, 0, 0, 0)
    var failure: Failure?
    withUnsafeMutableBytes(of: &words) { raw in
      // The tuple is 32 contiguous bytes without padding, and bytes may be written to any memory.
      let bytes = UnsafeMutableBufferPointer(
        start: raw.baseAddress!.assumingMemoryBound(to: UInt8.self), count: Self.byteCount)
      do throws(Failure) { try body(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// A digest that was stored or received. Nil unless there are exactly 32 bytes.
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(writingWith: { _ = $0.update(fromContentsOf: bytes) })
  }

  /// The 32 bytes.
  public var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0) } }

  /// Lends the 32 bytes, for hashing and C libraries.
  public func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    withUnsafeBytes(of: words) { raw in
      // The tuple is 32 contiguous bytes without padding, and any memory may be read as bytes.
      body(UnsafeBufferPointer(start: raw.baseAddress!.assumingMemoryBound(to: UInt8.self), count: Self.byteCount))
    }
  }

  /// Compares all bytes.
  public static func == (left: SHA256Digest, right: SHA256Digest) -> Bool {
    left.words == right.words
  }

  /// Feeds all bytes: payloads are chosen by callers, so a part would be easier to collide.
  public func hash(into hasher: inout Hasher) {
    withUnsafeBytes(of: words) { hasher.combine(bytes: $0) }
  }
}

extension SHA256Digest: CustomStringConvertible {
  /// 64 hexadecimal digits in lower case, as `sha256sum` prints them.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
