import Foundation
import RPCTransport

/// An authority for tests, which issues certificates with the openssl program into a directory of its own.
final class TestAuthority: Sendable {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "tls-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try makeKey("ca")
    try openssl(
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
  ) throws -> TLSFiles {
    let name = file ?? identity
    try makeKey(name)
    let extensions = path("\(name).ext")
    try Data("subjectAltName=URI:spiffe://chancery/\(identity),\(names)\n".utf8).write(to: URL(filePath: extensions))
    try openssl("req", "-new", "-key", path("\(name).key"), "-subj", "/CN=\(identity)", "-out", path("\(name).csr"))
    var arguments = [
      "x509", "-req", "-in", path("\(name).csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial",
      "-extfile", extensions, "-out", path("\(name).crt"),
    ]
    arguments += ["-days", "\(days)"]
    try openssl(arguments)
    return TLSFiles(certificate: path("\(name).crt"), key: path("\(name).key"), authority: path("ca.crt"))
  }

  func path(_ name: String) -> String { directory.appending(path: name).path() }

  private func makeKey(_ name: String) throws {
    try openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path("\(name).key"))
  }

  private func openssl(_ arguments: String...) throws { try openssl(arguments) }

  private func openssl(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(arguments: arguments) }
  }

  struct Failure: Error { let arguments: [String] }
}
