import Domain
import Foundation
import RPC
import Schema
import Signing
import Storage
import Translation

/// The main job from nothing to proof: keys, records, signing, verification, audit. What `demo` and `bench` do.
struct MainJob {
  var records: Int
  var recordBytes: Int
  var keys: Int
  var algorithm: SignatureAlgorithm
  var batchSize: Int
  var isQuiet: Bool

  /// What came out of it.
  struct Outcome: Sendable {
    var jobID = ""
    var signed: UInt64 = 0
    var failed: UInt64 = 0
    var alreadySigned: UInt64 = 0
    /// From the submission to the end of the job, on the database's clock.
    var seconds = 0.0
  }

  func generateKeys(_ keyKeeper: any RPCChannel) async throws -> [Int64: PublicKey] {
    let made = try await KeyGeneration.run(algorithm, count: keys, label: "", on: keyKeeper, isQuiet: isQuiet)
    return try Dictionary(uniqueKeysWithValues: made.map { ($0.keyID, try PublicKey(spki: $0.publicKeySpki)) })
  }

  func generateRecords(_ coordinator: any RPCChannel) async throws {
    _ = try await RecordUpload.generate(count: records, size: recordBytes, on: coordinator, isQuiet: isQuiet)
  }

  /// Submits the job and follows it to its end; `onProgress` is told how many records are done.
  func sign(
    _ coordinator: any RPCChannel, onProgress: (UInt64) async -> Void = { _ in }
  ) async throws -> Outcome {
    let request = ChanceryV1.SubmitJobRequest(algorithm: algorithm.message, batchSize: UInt32(batchSize))
    let client = ChanceryV1.Jobs.Client(coordinator)
    let submitted = try await client.submit(request, options: CallOptions(timeout: .seconds(60)))
    let ended = try await JobWatch.follow(
      submitted.jobID, on: coordinator, intervalMilliseconds: 100, isQuiet: isQuiet, onProgress: onProgress)
    let counts = ended.counts ?? ChanceryV1.JobCounts()
    return Outcome(
      jobID: ended.jobID, signed: counts.signed, failed: counts.failed, alreadySigned: counts.alreadySigned,
      seconds: Double(ended.endedAtUs - ended.createdAtUs) / 1_000_000)
  }

  /// Checks every signature of the job, and `sample` of them, chosen at random, also with the openssl program.
  func verify(
    _ job: String, _ keys: [Int64: PublicKey], sample: Int, _ coordinator: any RPCChannel
  ) async throws -> (outcome: Verification.Outcome, byOpenSSL: Int) {
    let verification = try Verification(keys: keys)
    let progress = ProgressLine("verifying", isQuiet: isQuiet)
    defer { progress.finish() }
    var reservoir = Reservoir(size: sample)
    var checked = Verification.Outcome()
    try await withThrowingTaskGroup(of: Verification.Outcome.self) { group in
      var running = 0
      _ = try await SignatureExport.run(job: job, on: coordinator) { signatures in
        for start in stride(from: 0, to: signatures.count, by: Verification.groupSize) {
          let part = Array(signatures[start..<min(start + Verification.groupSize, signatures.count)])
          part.forEach { reservoir.offer($0) }
          if running == 2 * Verification.parallelism, let done = try await group.next() {
            checked += done
            running -= 1
            progress.update(UInt64(checked.checked), of: UInt64(records))
          }
          group.addTask { try await verification.check(part) }
          running += 1
        }
      }
      for try await done in group {
        checked += done
        progress.update(UInt64(checked.checked), of: UInt64(records))
      }
    }
    let faults = try await OpenSSLProgram.verify(reservoir.chosen, keys, algorithm)
    checked.faults += faults
    return (checked, reservoir.chosen.count)
  }
}

/// A uniformly random sample of a stream (Vitter's algorithm R, 1985).
struct Reservoir {
  private let size: Int
  private var seen = 0
  private(set) var chosen: [ChanceryV1.Signature] = []

  init(size: Int) { self.size = size }

  mutating func offer(_ signature: ChanceryV1.Signature) {
    seen += 1
    if chosen.count < size {
      chosen.append(signature)
    } else if size > 0 {
      let place = Int.random(in: 0..<seen)
      if place < size { chosen[place] = signature }
    }
  }
}
