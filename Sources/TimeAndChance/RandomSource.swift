import Synchronization

/// Randomness that services take as a parameter: jitter, identifiers, sampling. Not for key material, which comes from
/// the cryptographic libraries alone.
public protocol RandomSource: Sendable {
  /// The next 64 uniformly distributed bits.
  func next() -> UInt64
}

extension RandomSource {
  /// A uniformly distributed value in `range`, on a grid of 2⁵³ steps that leaves out the upper bound.
  public func next(in range: ClosedRange<Double>) -> Double {
    let unit = Double(next() >> 11) * 0x1.0p-53
    return range.lowerBound + unit * (range.upperBound - range.lowerBound)
  }

  /// A uniformly distributed value in `0..<bound`; `bound` must be positive.
  public func next(below bound: Int) -> Int {
    precondition(bound > 0, "next(below:) needs a positive bound, got \(bound)")
    // The high half of the product maps 64 bits onto the range; for bounds up to 2^32 the bias is below 2^-32.
    return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// 16 random bytes, as a version 4 UUID (RFC 9562).
  public func nextUUID() -> [UInt8] {
    var bytes = [UInt8]()
    bytes.reserveCapacity(16)
    for word in [next(), next()] {
      for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift))) }
    }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    return bytes
  }
}

/// The operating system's generator.
public struct SystemRandom: RandomSource {
  /// Makes a source; all instances draw from the same generator.
  public init() {}

  /// The next 64 bits from the system.
  public func next() -> UInt64 { UInt64.random(in: .min ... .max) }
}

/// A reproducible generator (SplitMix64, Steele, Lea and Flood, 2014): the same seed gives the same sequence.
public final class SeededRandom: RandomSource {
  private let state: Mutex<UInt64>

  /// Starts the sequence that belongs to `seed`.
  public init(seed: UInt64) { state = Mutex(seed) }

  /// The next 64 bits of the sequence.
  public func next() -> UInt64 {
    state.withLock { state in
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }
}
