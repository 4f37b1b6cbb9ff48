import COpenSSL
import FoundationEssentials
import Glibc
import RPCTransport

extension Examination {
  /// The files of TLS: whether they can be used, and for how long.
  static func certificates(_ files: TLSFiles?) -> Examination {
    let checks = ["tls-files", "tls-key", "tls-chain", "tls-dates"]
    guard let files else {
      return skipped(
        checks, "no certificates are given",
        remedy: "--tls-cert, --tls-key and --tls-ca, or a context that has them")
    }
    return Examination(checks: checks) {
      do throws(UnusableFile) {
        let own = try CertificateList(files.certificate)
        let authorities = try CertificateList(files.authority)
        let key = try PrivateKeyFile(files.key)
        let fits = X509_check_private_key(own.certificates[0], key.pointer) == 1
        ERR_clear_error()
        return [
          .permissions(of: files),
          Finding(
            check: "tls-key", result: fits ? .ok : .failed,
            seen: "\(files.key) is \(fits ? "" : "not ")the private key of \(files.certificate)",
            remedy: fits ? nil : "give the key that the certificate was made for"),
          .chain(own, to: authorities), .dates(own, authorities),
        ]
      } catch {
        return [Finding(check: "tls-files", result: .failed, seen: error.message, remedy: error.remedy)]
      }
    }
  }
}

/// A file that is not what it should be.
private struct UnusableFile: Error {
  var message: String
  var remedy: String

  /// Opens a file; to be freed.
  static func open(_ path: String) throws(UnusableFile) -> OpaquePointer {
    guard access(path, R_OK) == 0, let input = BIO_new_file(path, "r") else {
      let reason = String(cString: strerror(errno))
      ERR_clear_error()
      throw UnusableFile(
        message: "\(path) cannot be read: \(reason)", remedy: "check the path, and who may read the file")
    }
    return input
  }
}

/// The certificates of a file, in their order; at least one.
private final class CertificateList {
  let path: String
  private(set) var certificates: [OpaquePointer] = []

  init(_ path: String) throws(UnusableFile) {
    self.path = path
    let input = try UnusableFile.open(path)
    defer { BIO_free(input) }
    while let certificate = PEM_read_bio_X509(input, nil, nil, nil) { certificates.append(certificate) }
    // The end of the file is an error, too.
    ERR_clear_error()
    guard !certificates.isEmpty else {
      throw UnusableFile(message: "\(path) holds no certificate in PEM form", remedy: "write it anew")
    }
  }

  deinit { for certificate in certificates { X509_free(certificate) } }
}

private final class PrivateKeyFile {
  let pointer: OpaquePointer

  init(_ path: String) throws(UnusableFile) {
    let input = try UnusableFile.open(path)
    defer { BIO_free(input) }
    // Without a callback libcrypto would ask for a passphrase on the terminal.
    guard let pointer = PEM_read_bio_PrivateKey(input, nil, { _, _, _, _ in -1 }, nil) else {
      ERR_clear_error()
      throw UnusableFile(
        message: "\(path) holds no private key in PEM form that can be read without a passphrase",
        remedy: "write it anew; services cannot be asked for a passphrase")
    }
    self.pointer = pointer
  }

  deinit { EVP_PKEY_free(pointer) }
}

extension Finding {
  /// Whether others could take the private key.
  fileprivate static func permissions(of files: TLSFiles) -> Finding {
    var status = stat()
    // A group may read it: Kubernetes mounts secrets so.
    let isOpen = stat(files.key, &status) == 0 && status.st_mode & 0o007 != 0
    return Finding(
      check: "tls-files", result: isOpen ? .warning : .ok,
      seen: isOpen ? "everybody can use \(files.key)" : "the three files can be read",
      remedy: isOpen ? "chmod 600 \(files.key)" : nil)
  }

  /// Whether an authority vouches for the certificate. Dates are looked at on their own.
  fileprivate static func chain(_ own: CertificateList, to authorities: CertificateList) -> Finding {
    let check = "tls-chain"
    guard let store = X509_STORE_new(), let context = X509_STORE_CTX_new(), let between = OPENSSL_sk_new_null() else {
      preconditionFailure("there is memory for a store of certificates")
    }
    defer {
      X509_STORE_CTX_free(context)
      OPENSSL_sk_free(between)
      X509_STORE_free(store)
    }
    for authority in authorities.certificates { X509_STORE_add_cert(store, authority) }
    for certificate in own.certificates.dropFirst() { OPENSSL_sk_push(between, UnsafeRawPointer(certificate)) }
    X509_STORE_set_flags(store, UInt(X509_V_FLAG_NO_CHECK_TIME))
    let isTrusted =
      X509_STORE_CTX_init(context, store, own.certificates[0], between) == 1 && X509_verify_cert(context) == 1
    ERR_clear_error()
    if isTrusted { return Finding(check: check, result: .ok, seen: "\(authorities.path) vouches for \(own.path)") }
    let reason = String(cString: X509_verify_cert_error_string(Int(X509_STORE_CTX_get_error(context))))
    return Finding(
      check: check, result: .failed, seen: "\(authorities.path) does not vouch for \(own.path): \(reason)",
      remedy: "give the authority that issued the certificate, and in the file of the certificate those in between")
  }

  /// Whether the certificates hold now, and for how long.
  fileprivate static func dates(_ lists: CertificateList...) -> Finding {
    let check = "tls-dates"
    let periods = lists.flatMap { list in list.certificates.map { (list.path, Validity($0)) } }
    if let (path, period) = periods.first(where: { $0.1.start > .now }) {
      return Finding(
        check: check, result: .failed, seen: "\(path) holds only from \(period.start.text)",
        remedy: "set the clock of this machine, or have the certificate issued anew")
    }
    // There is at least one.
    let (path, first) = periods.min { $0.1.end < $1.1.end }!
    let days = first.end.timeIntervalSinceNow / 86_400
    if days < 0 {
      return Finding(
        check: check, result: .failed, seen: "\(path) held until \(first.end.text)", remedy: "have it renewed now")
    }
    let isSoon = days < 14
    return Finding(
      check: check, result: isSoon ? .warning : .ok,
      seen: "\(path) holds for \(days.text(digits: 1)) days, until \(first.end.text)",
      remedy: isSoon ? "have it renewed; services take the new file without a restart" : nil)
  }
}

/// When a certificate holds.
private struct Validity {
  var start: Date
  var end: Date

  init(_ certificate: OpaquePointer) {
    start = Self.date(X509_get0_notBefore(certificate)) ?? .distantPast
    // One that cannot be read ends at once.
    end = Self.date(X509_get0_notAfter(certificate)) ?? .distantPast
  }

  private static func date(_ time: UnsafePointer<ASN1_TIME>?) -> Date? {
    var parts = tm()
    guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    return Date(timeIntervalSince1970: Double(timegm(&parts)))
  }
}
