import Domain
import Foundation
import LocalServers
import Schema
import Signing

/// Checks signatures with the `openssl` program alone: a judge that has none of our code in it.
enum OpenSSLProgram {
  /// How many programs run at a time.
  private static let parallelism = ProcessInfo.processInfo.activeProcessorCount

  /// Returns a fault for each signature that openssl does not accept.
  static func verify(
    _ signatures: [ChanceryV1.Signature], _ keys: [Int64: PublicKey], _ algorithm: SignatureAlgorithm
  ) async throws -> [Verification.Fault] {
    guard !signatures.isEmpty else { return [] }
    let directory = FileManager.default.temporaryDirectory.appending(path: "chancery-openssl-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (id, key) in keys { try Data(key.pem.utf8).write(to: directory.appending(path: "\(id).pem")) }
    return try await withThrowingTaskGroup(of: [Verification.Fault].self) { group in
      for part in 0..<parallelism {
        let mine = signatures.enumerated().filter { $0.offset % parallelism == part }.map(\.element)
        group.addTask { try await check(mine, algorithm, in: directory) }
      }
      var faults: [Verification.Fault] = []
      for try await found in group { faults += found }
      return faults
    }
  }

  private static func check(
    _ signatures: [ChanceryV1.Signature], _ algorithm: SignatureAlgorithm, in directory: URL
  ) async throws -> [Verification.Fault] {
    var faults: [Verification.Fault] = []
    for signature in signatures {
      let payload = directory.appending(path: "\(signature.recordID).payload").path
      let proof = directory.appending(path: "\(signature.recordID).sig").path
      try Data(signature.payload).write(to: URL(filePath: payload))
      try Data(signature.signature).write(to: URL(filePath: proof))
      let key = directory.appending(path: "\(signature.keyID).pem").path
      let status = try await run(arguments(algorithm, key: key, payload: payload, signature: proof))
      if status != 0 {
        faults.append(Verification.Fault(recordID: signature.recordID, reason: "openssl does not accept the signature"))
      }
    }
    return faults
  }

  /// The command by which anyone can check a signature; `docs/operations.md` shows the same.
  static func arguments(
    _ algorithm: SignatureAlgorithm, key: String, payload: String, signature: String
  ) -> [String] {
    switch algorithm {
    case .ecdsaP256: ["dgst", "-sha256", "-verify", key, "-signature", signature, payload]
    case .ed25519:
      ["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", payload, "-sigfile", signature]
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096:
      [
        "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-verify", key,
        "-signature", signature, payload,
      ]
    }
  }

  private static func run(_ arguments: [String]) async throws -> Int32 {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/openssl")
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    do {
      return try await withCheckedThrowingContinuation { continuation in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do {
          try process.run()
        } catch {
          process.terminationHandler = nil
          continuation.resume(throwing: error)
        }
      }
    } catch {
      throw CommandFailure(code: "openssl_missing", message: "the openssl program cannot be run: \(error)")
    }
  }
}
