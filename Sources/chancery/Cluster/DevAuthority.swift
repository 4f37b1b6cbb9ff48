import COpenSSL
import Foundation
import RPCTransport

/// An authority for a private cluster: it issues a certificate to each part and is then gone with its key, so that nobody can
/// be added later.
struct DevAuthority {
  private let directory: URL
  private let key: OpaquePointer
  private let certificate: OpaquePointer

  /// How long the certificates of an authority hold, from now.
  private let seconds: Int
  /// 90 days.
  static let standardSeconds = 90 * 86_400

  /// Makes an authority and writes its certificate into `directory`, which is made if it is not there. To be closed.
  init(in directory: URL, validFor seconds: Int = standardSeconds) throws {
    self.directory = directory
    self.seconds = seconds
    try FileManager.default.createDirectory(
      at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    key = try Self.makeKey()
    certificate = try Self.makeCertificate(
      of: key, named: "Chancery private authority", issuer: nil, validFor: seconds,
      extensions: [(NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,keyCertSign")])
    try Self.write(to: authorityFile, mode: 0o644) { PEM_write_bio_X509($0, certificate) }
  }

  private var authorityFile: URL { directory.appending(path: "ca.crt") }

  /// Forgets the key.
  func close() {
    X509_free(certificate)
    EVP_PKEY_free(key)
  }

  /// Issues a certificate for `identity`, which holds on this machine's loopback addresses.
  func issue(_ name: String, identity: String) throws -> TLSFiles {
    let leafKey = try Self.makeKey()
    defer { EVP_PKEY_free(leafKey) }
    let leaf = try Self.makeCertificate(
      of: leafKey, named: name, issuer: (certificate, key), validFor: seconds,
      extensions: [
        (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
        (NID_ext_key_usage, "serverAuth,clientAuth"),
        (NID_subject_alt_name, "URI:\(identity),DNS:localhost,IP:127.0.0.1,IP:::1"),
      ])
    defer { X509_free(leaf) }
    let files = Self.files(name, in: directory)
    try Self.write(to: URL(filePath: files.certificate), mode: 0o644) { PEM_write_bio_X509($0, leaf) }
    try Self.write(to: URL(filePath: files.key), mode: 0o600) {
      PEM_write_bio_PrivateKey($0, leafKey, nil, nil, 0, nil, nil)
    }
    return files
  }

  /// Makes the key with which the cluster's coordinators sign manifests; its public half comes to lie beside it, as
  /// `NAME.pub.pem`.
  static func makeManifestKey(at path: String) throws {
    let key = try makeKey()
    defer { EVP_PKEY_free(key) }
    let publicFile = path.replacing(".pem", with: ".pub.pem")
    try write(to: URL(filePath: publicFile), mode: 0o644) { PEM_write_bio_PUBKEY($0, key) }
    try write(to: URL(filePath: path), mode: 0o600) { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
  }

  /// Where the files of a part are.
  static func files(_ name: String, in directory: URL) -> TLSFiles {
    func path(_ file: String) -> String { directory.appending(path: file).path }
    return TLSFiles(certificate: path("\(name).crt"), key: path("\(name).key"), authority: path("ca.crt"))
  }

  // MARK: libcrypto

  private static func makeKey() throws -> OpaquePointer {
    guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { throw failure("make a key") }
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
      EVP_PKEY_generate(context, &key) == 1, let key
    else { throw failure("make a key") }
    return key
  }

  /// Signs a certificate; without an issuer it signs itself.
  private static func makeCertificate(
    of key: OpaquePointer, named name: String, issuer: (certificate: OpaquePointer, key: OpaquePointer)?,
    validFor seconds: Int, extensions: [(nid: Int32, value: String)]
  ) throws -> OpaquePointer {
    guard let certificate = X509_new() else { throw failure("make a certificate") }
    do {
      let subject = X509_get_subject_name(certificate)
      // Any positive number will do: an authority issues a handful.
      let serial = Int.random(in: 1...Int.max)
      guard X509_set_version(certificate, 2) == 1,
        ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), Int64(serial)) == 1,
        // An hour back, for clocks that differ.
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != nil,
        X509_gmtime_adj(X509_getm_notAfter(certificate), seconds) != nil,
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1,
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0.certificate) } ?? subject) == 1,
        X509_set_pubkey(certificate, key) == 1
      else { throw failure("make a certificate") }
      for (nid, value) in extensions {
        guard let one = X509V3_EXT_conf_nid(nil, nil, nid, value) else { throw failure("add '\(value)'") }
        defer { X509_EXTENSION_free(one) }
        guard X509_add_ext(certificate, one, -1) == 1 else { throw failure("add '\(value)'") }
      }
      guard X509_sign(certificate, issuer?.key ?? key, EVP_sha256()) > 0 else { throw failure("sign a certificate") }
    } catch {
      X509_free(certificate)
      throw error
    }
    return certificate
  }

  private static func write(to file: URL, mode: Int, _ body: (OpaquePointer) -> Int32) throws {
    guard
      FileManager.default.createFile(atPath: file.path, contents: nil, attributes: [.posixPermissions: mode]),
      let output = BIO_new_file(file.path, "w")
    else { throw failure("write \(file.path)") }
    defer { BIO_free(output) }
    guard body(output) == 1 else { throw failure("write \(file.path)") }
  }

  private static func failure(_ what: String) -> CommandFailure {
    ERR_clear_error()
    return CommandFailure(code: "cluster_failed", message: "the private cluster's authority could not \(what)")
  }
}
