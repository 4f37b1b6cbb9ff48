import Foundation
import Glibc
import Testing

@testable import Signing

// Proves that the file is made for its owner alone and never over another one, that only the one documented format is
// read, and that a file others could read or replace is refused, with real files and modes.
@Suite struct KeyEncryptionKeyFileTests {
  static let text = "chancery-kek-v1:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
  static let id = "8a60491293d73dd8"

  @Test func generatedFileIsPrivateAndLoadsAgain() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("kek")
    let kek = try KeyEncryptionKey.generate(at: path)
    #expect(try mode(of: path) == 0o600)
    let text = String(decoding: try directory.read("kek"), as: UTF8.self)
    #expect(text.hasPrefix(KeyEncryptionKey.fileHeader))
    #expect(text.hasSuffix("=\n"))
    #expect(text.count == 16 + 44 + 1)
    #expect(try KeyEncryptionKey.load(from: path).id == kek.id)
    let again = directory.path("another")
    #expect(try KeyEncryptionKey.generate(at: again).id != kek.id)
  }

  @Test func nothingIsOverwritten() throws {
    let directory = try TemporaryDirectory()
    try directory.write("kek", [1, 2, 3])
    let error = try #require(try signingError { _ = try KeyEncryptionKey.generate(at: directory.path("kek")) })
    #expect(error.code == .fileExists)
    #expect(error.message.contains(directory.path("kek")))
    #expect(try directory.read("kek") == [1, 2, 3])
    try FileManager.default.createSymbolicLink(
      atPath: directory.path("link"), withDestinationPath: directory.path("elsewhere"))
    #expect(try signingError { _ = try KeyEncryptionKey.generate(at: directory.path("link")) }?.code == .fileExists)
    #expect(!FileManager.default.fileExists(atPath: directory.path("elsewhere")))
  }

  @Test func placesThatCannotBeWritten() throws {
    let directory = try TemporaryDirectory()
    for path in [directory.path("missing/kek"), "", "a\0b", "/proc/kek"] {
      #expect(try signingError { _ = try KeyEncryptionKey.generate(at: path) }?.code == .fileUnwritable, "\(path)")
    }
  }

  @Test func documentedCommandMakesAValidFile() throws {
    let directory = try TemporaryDirectory()
    let base64 = try OpenSSLProgram.run(["rand", "-base64", "32"], in: directory)
    try write(Array(KeyEncryptionKey.fileHeader.utf8) + base64, to: "kek", in: directory)
    _ = try KeyEncryptionKey.load(from: directory.path("kek"))
  }

  @Test(arguments: ["", "\n", "\r\n"])
  func oneLineEndIsAllowed(_ end: String) throws {
    let directory = try TemporaryDirectory()
    try write(Array((Self.text + end).utf8), to: "kek", in: directory)
    #expect(try KeyEncryptionKey.load(from: directory.path("kek")).id.description == Self.id)
  }

  @Test func otherFormatsAreRefusedWithAHint() throws {
    let directory = try TemporaryDirectory()
    let base64 = Self.text.dropFirst(KeyEncryptionKey.fileHeader.count)
    let cases: [(String, [UInt8], String)] = [
      ("nothing", [], "empty"),
      ("raw bytes", (0x40..<0x60).map { UInt8($0) }, "raw bytes"),
      ("base64 alone", Array(base64.utf8), "base64"),
      ("hexadecimal", Array(String(repeating: "4a", count: 32).utf8), "hexadecimal"),
      ("another version", Array(Self.text.replacing("v1", with: "v2").utf8), "does not start with"),
      ("a space before", Array((" " + Self.text).utf8), "does not start with"),
      ("two line ends", Array((Self.text + "\n\n").utf8), "32 bytes in base64"),
      ("a space after", Array((Self.text + " ").utf8), "32 bytes in base64"),
      ("no padding", Array(Self.text.dropLast().utf8), "32 bytes in base64"),
      ("31 bytes", Array((KeyEncryptionKey.fileHeader + "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXg==").utf8), "32"),
      ("33 bytes", Array((KeyEncryptionKey.fileHeader + "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9g").utf8), "32"),
      ("hexadecimal after the header", Array((KeyEncryptionKey.fileHeader + "404142").utf8), "32 bytes in base64"),
      ("only the header", Array(KeyEncryptionKey.fileHeader.utf8), "32 bytes in base64"),
      ("a large file", [UInt8](repeating: 0x41, count: 5000), "4096"),
    ]
    for (name, contents, hint) in cases {
      try write(contents, to: "kek", in: directory)
      let error = try #require(
        try signingError { _ = try KeyEncryptionKey.load(from: directory.path("kek")) }, "\(name)")
      #expect(error.code == .malformedKeyEncryptionKey, "\(name)")
      #expect(error.message.contains(hint), "\(name): \(error.message)")
      #expect(error.message.contains(directory.path("kek")), "\(name)")
      #expect(!error.description.contains("QEFC"), "\(name) shows no part of the key")
    }
  }

  @Test func onlyTheOwnerMayRead() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("kek")
    try write(Array(Self.text.utf8), to: "kek", in: directory)
    for mode in [0o600, 0o400, 0o700] as [mode_t] {
      #expect(chmod(path, mode) == 0)
      #expect(try KeyEncryptionKey.load(from: path).id.description == Self.id)
    }
    for mode in [0o640, 0o604, 0o660, 0o644, 0o666, 0o620, 0o602, 0o610, 0o601, 0o777] as [mode_t] {
      #expect(chmod(path, mode) == 0)
      let error = try #require(try signingError { _ = try KeyEncryptionKey.load(from: path) })
      #expect(error.code == .filePermissions)
      #expect(error.message.contains("0" + String(mode, radix: 8)))
      #expect(error.message.contains("chmod 600 \(path)"))
    }
  }

  @Test func groupMayReadWhereThatIsAllowed() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("kek")
    try write(Array(Self.text.utf8), to: "kek", in: directory)
    for mode in [0o640, 0o440, 0o600] as [mode_t] {
      #expect(chmod(path, mode) == 0)
      #expect(try KeyEncryptionKey.load(from: path, readers: .ownerAndGroup).id.description == Self.id)
    }
    for mode in [0o660, 0o644, 0o604, 0o620, 0o650] as [mode_t] {
      #expect(chmod(path, mode) == 0)
      let error = try signingError { _ = try KeyEncryptionKey.load(from: path, readers: .ownerAndGroup) }
      #expect(error?.code == .filePermissions)
    }
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give a file away"))
  func fileOfAnotherUserIsRefused() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("kek")
    try write(Array(Self.text.utf8), to: "kek", in: directory)
    #expect(chown(path, 12345, 12345) == 0)
    let error = try #require(try signingError { _ = try KeyEncryptionKey.load(from: path) })
    #expect(error.code == .filePermissions)
    #expect(error.message.contains("12345"))
  }

  @Test func somethingElseThanAFileIsRefused() throws {
    let directory = try TemporaryDirectory()
    let pipe = directory.path("pipe")
    #expect(mkfifo(pipe, 0o600) == 0)
    for path in [directory.url.path, pipe, "/dev/null", directory.path("missing"), "", "a\0b"] {
      let error = try signingError { _ = try KeyEncryptionKey.load(from: path) }
      #expect(error?.code == .fileUnreadable, "\(path)")
    }
  }

  @Test func linkToAFileIsFollowed() throws {
    // Kubernetes mounts every secret behind two links.
    let directory = try TemporaryDirectory()
    try write(Array(Self.text.utf8), to: "kek", in: directory)
    let link = directory.path("link")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: directory.path("kek"))
    #expect(try KeyEncryptionKey.load(from: link).id.description == Self.id)
  }

  private func write(_ bytes: [UInt8], to name: String, in directory: TemporaryDirectory) throws {
    try directory.write(name, bytes)
    try #require(chmod(directory.path(name), 0o600) == 0)
  }

  private func mode(of path: String) throws -> mode_t {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mode & 0o7777
  }
}
