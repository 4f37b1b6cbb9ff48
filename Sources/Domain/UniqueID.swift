/// 128 bits that name one `Entity`, written as a UUID (RFC 9562). Ids of different entities are different types.
public struct UniqueID<Entity>: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  /// Wraps 16 bytes, most significant first; nil for another number of bytes.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    var halves = Halves()
    for byte in bytes { halves.append(UInt64(byte), bits: 8) }
    (high, low) = (halves.high, halves.low)
  }

  /// Reads the text form, in either case; nil for anything else. Allocates nothing: every message of a batch names its job.
  public init?(_ text: String) {
    var halves = Halves()
    var place = 0
    for character in text.utf8 {
      switch place {
      case 8, 13, 18, 23:
        guard character == UInt8(ascii: "-") else { return nil }
      case 0..<Self.textBytes:
        guard let nibble = nibble(character) else { return nil }
        halves.append(nibble, bits: 4)
      default: return nil
      }
      place += 1
    }
    guard place == Self.textBytes else { return nil }
    (high, low) = (halves.high, halves.low)
  }

  /// The 16 bytes, most significant first.
  public var bytes: [UInt8] {
    withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: low.bigEndian) { Array($0) }
  }

  private static var textBytes: Int { 36 }
}

extension UniqueID: Comparable {
  /// The order of the bytes, which is also the order of the text and of Postgres's `uuid`.
  public static func < (left: UniqueID, right: UniqueID) -> Bool { (left.high, left.low) < (right.high, right.low) }
}

extension UniqueID: CustomStringConvertible {
  /// The text form, in lower case.
  public var description: String {
    String(unsafeUninitializedCapacity: Self.textBytes) { text in
      var place = 0
      for half in [high, low] {
        for shift in stride(from: 60, through: 0, by: -4) {
          if [8, 13, 18, 23].contains(place) {
            text[place] = UInt8(ascii: "-")
            place += 1
          }
          let nibble = UInt8(truncatingIfNeeded: half >> UInt64(shift)) & 15
          text[place] = nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
          place += 1
        }
      }
      return place
    }
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

/// 128 bits that are shifted in from the right. Not nested in `UniqueID`: there it would be generic, too.
private struct Halves {
  var high: UInt64 = 0
  var low: UInt64 = 0

  mutating func append(_ value: UInt64, bits: UInt64) {
    high = high << bits | low >> (64 - bits)
    low = low << bits | value
  }
}

/// The value of a hexadecimal digit.
private func nibble(_ digit: UInt8) -> UInt64? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0"))
  case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(digit - UInt8(ascii: "a") + 10)
  case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(digit - UInt8(ascii: "A") + 10)
  default: nil
  }
}
