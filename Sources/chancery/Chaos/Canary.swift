import Domain
import Foundation
import LocalServers
import RPC
import Schema
import Signing

/// A private key that the judge knows, so that he can look for it where no private key may be.
struct Canary: Sendable {
  /// That of all jobs: slow enough that faults meet a job under way.
  static let algorithm = SignatureAlgorithm.rsaPSS2048

  private let pem: [UInt8]
  /// Bytes of it that would show: as they are, in hexadecimal digits, and as a line of PEM.
  private let needles: [[UInt8]]

  /// Makes a key with the openssl program.
  static func make() async throws -> Canary {
    let pem = try await Tool.run([
      "openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
    ])
    let lines = pem.split(separator: "\n").filter { !$0.hasPrefix("-") }
    guard let der = Data(base64Encoded: lines.joined()), der.count > 600, lines.count > 10 else {
      throw ChaosError("openssl made no key: \(pem.prefix(200))")
    }
    // Of the private exponent, and of nothing that is public.
    let secret = [UInt8](der[500..<532])
    let hex = secret.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    return Canary(
      pem: Array(pem.utf8), needles: [secret, Array(hex.utf8), Array(hex.uppercased().utf8), Array(lines[10].utf8)])
  }

  /// Adds it to the ring.
  func importKey(to channel: any RPCChannel) async throws -> ChanceryV1.Key {
    try await KeyImport.run(try PrivateKey(importing: pem.span), label: "canary", on: channel)
  }

  /// Has Redis write down all that it holds.
  func saveCache(_ redis: PrivateRedis) async throws {
    try await Tool.redis(redis, ["SAVE"])
  }

  /// Puts it where it must be found.
  func leak(into directory: URL) throws { try Data(pem).write(to: directory.appending(path: "leaked.pem")) }

  /// The first file under `places` in which it is.
  func find(in places: [URL]) throws -> String? {
    for place in places {
      guard let files = FileManager.default.enumerator(at: place, includingPropertiesForKeys: [.isRegularFileKey])
      else { continue }
      for case let file as URL in files {
        guard (try? file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true,
          let content = try? Data(contentsOf: file, options: .mappedIfSafe)
        else { continue }
        if needles.contains(where: { content.range(of: Data($0)) != nil }) { return file.path }
      }
    }
    return nil
  }
}
