import Foundation
import LocalServers
import RPCTransport

/// An authority for tests, which issues certificates with the openssl program into a directory of its own.
final class TestAuthority: Sendable {
  let directory: URL

  init() async throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "tls-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try await makeKey("ca")
    try await openssl(
      "req", "-x509", "-new", "-key", path("ca.key"), "-subj", "/CN=Test authority", "-days", "2", "-out",
      path("ca.crt"))
  }

  deinit {
    // Left to the system's cleaning if it cannot be removed.
    try? FileManager.default.removeItem(at: directory)
  }

  /// The files of a certificate for `identity`, valid at `names`, for so many days from now or, if negative, until then.
  func issue(
    _ identity: String, names: String = "DNS:localhost,IP:127.0.0.1", file: String? = nil, days: Int = 2
  ) async throws -> TLSFiles {
    let name = file ?? identity
    try await makeKey(name)
    let extensions = path("\(name).ext")
    try Data("subjectAltName=URI:spiffe://chancery/\(identity),\(names)\n".utf8).write(to: URL(filePath: extensions))
    try await openssl(
      "req", "-new", "-key", path("\(name).key"), "-subj", "/CN=\(identity)", "-out", path("\(name).csr"))
    var arguments = [
      "x509", "-req", "-in", path("\(name).csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial",
      "-extfile", extensions, "-out", path("\(name).crt"),
    ]
    arguments += ["-days", "\(days)"]
    try await openssl(arguments)
    return TLSFiles(certificate: path("\(name).crt"), key: path("\(name).key"), authority: path("ca.crt"))
  }

  func path(_ name: String) -> String { directory.appending(path: name).path() }

  private func makeKey(_ name: String) async throws {
    try await openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path("\(name).key"))
  }

  private func openssl(_ arguments: String...) async throws { try await openssl(arguments) }

  private func openssl(_ arguments: [String]) async throws {
    let log = directory.appending(path: "openssl.log")
    let process = try await ServerProcess(["openssl"] + arguments, log: log)
    guard try await process.waitForExit(within: .seconds(30)) == 0 else {
      throw Failure(arguments: arguments, output: (try? String(contentsOf: log, encoding: .utf8)) ?? "")
    }
  }

  struct Failure: Error {
    let arguments: [String]
    let output: String
  }
}
