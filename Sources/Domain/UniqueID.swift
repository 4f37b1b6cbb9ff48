/// 128 bits that name one `Entity`, written as a UUID (RFC 9562). Ids of different entities are different types.
public struct UniqueID<Entity>: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  /// Wraps 16 bytes, most significant first; nil for another number of bytes.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Reads the text form, in either case; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let groups = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard groups.map(\.count) == [8, 4, 4, 4, 12] else { return nil }
    var bytes: [UInt8] = []
    var pending: UInt8?
    for digit in groups.joined() {
      let nibble: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = digit - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): nibble = digit - UInt8(ascii: "A") + 10
      default: return nil
      }
      if let first = pending {
        bytes.append(first << 4 | nibble)
        pending = nil
      } else {
        pending = nibble
      }
    }
    self.init(bytes: bytes)
  }

  /// The 16 bytes, most significant first.
  public var bytes: [UInt8] {
    withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: low.bigEndian) { Array($0) }
  }
}

extension UniqueID: Comparable {
  /// The order of the bytes, which is also the order of the text and of Postgres's `uuid`.
  public static func < (left: UniqueID, right: UniqueID) -> Bool { (left.high, left.low) < (right.high, right.low) }
}

extension UniqueID: CustomStringConvertible {
  /// The text form, in lower case.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text.append(UInt8(ascii: "-")) }
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Names a job.
public typealias JobID = UniqueID<Job>
/// Names one start of a signer; the holder of its leases.
public typealias SignerID = UniqueID<SignerTag>
/// Names one start of a coordinator.
public typealias CoordinatorID = UniqueID<CoordinatorTag>
/// Names one lease of a key: it survives a failover to a lagging replica, where the epoch alone does not.
public typealias LeaseID = UniqueID<LeaseTag>
/// Names one claim of batches by a coordinator, so that a claim whose acknowledgement was lost can be found again.
public typealias ClaimID = UniqueID<ClaimTag>

/// The entity behind `SignerID`.
public enum SignerTag {}
/// The entity behind `CoordinatorID`.
public enum CoordinatorTag {}
/// The entity behind `LeaseID`.
public enum LeaseTag {}
/// The entity behind `ClaimID`.
public enum ClaimTag {}
