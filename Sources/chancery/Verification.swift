import DedicatedThreads
import Domain
import Schema
import Signing
import Translation

/// Checks signatures against public keys, on all cores, without any server.
final class Verification: Sendable {
  /// A signature that is not what it should be.
  struct Fault: Sendable, Encodable {
    var recordID: Int64
    var reason: String

    enum CodingKeys: String, CodingKey {
      case recordID = "record_id"
      case reason
    }
  }

  /// What was found.
  struct Outcome: Sendable {
    var checked = 0
    var faults: [Fault] = []

    static func += (left: inout Outcome, right: Outcome) {
      left.checked += right.checked
      left.faults += right.faults
    }
  }

  /// Signatures that are checked together on one thread.
  static let groupSize = 1000
  /// Groups that are checked at a time.
  static let parallelism = ComputePool.availableCores

  private let keys: [Int64: PublicKey]
  private let pool: ComputePool

  /// A check against `keys`, by their ids.
  init(keys: [Int64: PublicKey]) throws {
    self.keys = keys
    pool = try ComputePool(name: "verify")
  }

  /// Checks signatures that carry their payloads.
  func check(_ signatures: [ChanceryV1.Signature]) async throws -> Outcome {
    let keys = keys
    return try await pool.run { Self.check(signatures, keys) }
  }

  /// Signatures of one key come in runs, for a key signs a whole batch: a verifier is made once for each run.
  private static func check(_ signatures: [ChanceryV1.Signature], _ keys: [Int64: PublicKey]) -> Outcome {
    var outcome = Outcome()
    var rest = signatures[...]
    while let first = rest.first {
      let run = rest.prefix { $0.keyID == first.keyID && $0.form == first.form }
      rest = rest.dropFirst(run.count)
      outcome.checked += run.count
      guard let key = keys[first.keyID] else {
        outcome.faults += run.map {
          Fault(recordID: $0.recordID, reason: "key \($0.keyID) is not among the public keys")
        }
        continue
      }
      do {
        let form = try SignatureForm(first.form)
        var verifier = try SignatureVerifier(
          key, prefix: form.prefix(key.algorithm, KeyID(rawValue: first.keyID)))
        for signature in run {
          if let reason = try fault(signature, key, &verifier) {
            outcome.faults.append(Fault(recordID: signature.recordID, reason: reason))
          }
        }
      } catch {
        outcome.faults += run.map { Fault(recordID: $0.recordID, reason: "cannot be checked: \(error)") }
      }
    }
    return outcome
  }

  private static func fault(
    _ signature: ChanceryV1.Signature, _ key: PublicKey, _ verifier: inout SignatureVerifier
  ) throws(SigningError) -> String? {
    guard signature.algorithm.name == key.algorithm.name else {
      return "signed as \(signature.algorithm.name) with a key for \(key.algorithm)"
    }
    guard let digest = SHA256Digest(signature.payloadDigest) else { return "the payload digest has not 32 bytes" }
    let verdict = try verifier.check(
      signature: signature.signature.span, payload: signature.payload.span, signedDigest: digest)
    switch verdict {
    case .valid: return nil
    case .invalidSignature: return "the signature is not that of key \(signature.keyID)"
    case .payloadChanged: return "the payload is not the one that was signed"
    }
  }
}
