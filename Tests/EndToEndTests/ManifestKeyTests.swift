import Foundation
import Testing

// Proves that a coordinator takes the key that seals manifests only from a file that others cannot read.
@Suite("The key that seals manifests is a secret")
struct ManifestKeyTests {
  @Test func aKeyThatOthersMayReadIsRefused() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let file = "\(folder.path)/key.pem"
    _ = try await Program.run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", file])
    let start = [
      "serve", "coordinator", "--database-url", "host=/nowhere", "--listen", "127.0.0.1:0", "--admin-listen", "none",
      "--manifest-key",
    ]
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
    let open = try await Program.run(Program.chancery, start + [file])
    #expect(open.status == 1 && open.errors.contains("chmod 600"), "\(open.errors)")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    _ = try await Program.run("openssl", ["pkey", "-in", file, "-pubout", "-out", file])
    let publicKey = try await Program.run(Program.chancery, start + [file])
    #expect(publicKey.status == 1 && publicKey.errors.contains(file), "\(publicKey.errors)")
    let nowhere = try await Program.run(Program.chancery, start + ["\(folder.path)/none"])
    #expect(nowhere.status == 1 && nowhere.errors.contains("none"), "\(nowhere.errors)")
  }
}
