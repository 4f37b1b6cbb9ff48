public import Domain

/// The cryptographic libraries' own rate: signatures in a tight loop with nothing around them, one thread per core. It
/// is the limit that a benchmark of the whole service is compared with, and must be measured in the same run on the
/// same machine.
///
/// The loop makes the calls that ``BatchSigner`` makes and keeps nothing: hash and `EVP_PKEY_sign` for ECDSA and RSA,
/// one call for Ed25519, without the payload digest that the service computes for it in addition.
public struct SigningLimit: Sendable {
  /// What was measured.
  public let algorithm: SignatureAlgorithm
  /// How many threads signed at once, each with a key of its own.
  public let threads: Int
  /// Size of the payload in bytes.
  public let payloadBytes: Int
  /// How many signatures all threads made together.
  public let signatures: Int
  /// From the start of all threads to the end of the last.
  public let elapsed: Duration

  /// Signatures a second of all threads together.
  public var signaturesPerSecond: Double { Double(signatures) / (elapsed / .seconds(1)) }

  /// How long one thread takes for one signature.
  public var timePerSignature: Duration { elapsed * threads / max(signatures, 1) }

  /// When to stop.
  public enum Extent: Sendable {
    /// After this time, at the end of a group of ``SigningLimit/groupSize`` signatures.
    case duration(Duration)
    /// After this many signatures of each thread.
    case signaturesPerThread(Int)
  }

  /// How many signatures are made between two looks at the clock.
  public static let groupSize = 8

  /// The most threads that are started.
  public static let maximumThreads = 1024

  /// Makes a key for each thread, then lets all threads sign at once. Blocks the calling thread until they are done; do
  /// not call it on Swift's shared threads.
  /// - Parameters:
  ///   - algorithm: What to measure.
  ///   - threads: From 1 to ``maximumThreads``; usually the number of cores.
  ///   - payloadBytes: Size of the payload, at least 0.
  ///   - extent: When to stop.
  /// - Throws: `resource_exhausted` if no thread can be started, `library_failure`.
  public static func measure(
    _ algorithm: SignatureAlgorithm, threads: Int, payloadBytes: Int = 192, for extent: Extent
  ) throws(SigningError) -> SigningLimit {
    precondition((1...maximumThreads).contains(threads), "from 1 to \(maximumThreads) threads, not \(threads)")
    precondition(payloadBytes >= 0, "a negative payload size")
    let payload = [UInt8](repeating: 0x5A, count: payloadBytes)
    var workers: [LimitWorker] = []
    for _ in 0..<threads {
      workers.append(LimitWorker(try RawSigner(try PrivateKey.generate(algorithm), payload: payload), extent))
    }
    let runs = try LimitWorker.runTogether(workers)
    let start = runs.map(\.start).min() ?? .now
    let end = runs.map(\.end).max() ?? start
    return SigningLimit(
      algorithm: algorithm, threads: threads, payloadBytes: payloadBytes,
      signatures: runs.reduce(0) { $0 + $1.signatures }, elapsed: start.duration(to: end))
  }
}
