import Glibc
import NIOCore
import NIOSSL
import Synchronization

/// Where the PEM files are by which a process shows who it is and knows others.
public struct TLSFiles: Sendable, Hashable {
  /// Its certificate, followed by those of intermediate authorities.
  public var certificate: String
  /// The private key of the certificate.
  public var key: String
  /// The certificates of the authorities whose word it takes for others.
  public var authority: String

  /// Names the three files.
  public init(certificate: String, key: String, authority: String) {
    self.certificate = certificate
    self.key = key
    self.authority = authority
  }

  fileprivate var all: [String] { [certificate, key, authority] }
}

/// TLS credentials that cannot be used.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Which file, what is wrong with it, and what helps. Nothing of what is in it.
  public let description: String
}

/// Who this process is, and whom it trusts: TLS 1.3 with certificates on both sides.
///
/// The files are looked at for every connection: when one has changed, as when a certificate was renewed, new connections use
/// what is there then. What cannot be used is reported and the credentials before stay in use.
public final class TLSCredentials: Sendable {
  private struct State {
    var stamps: [FileStamp]
    var server: NIOSSLContext
    var client: NIOSSLContext
  }

  private let files: TLSFiles
  private let onReload: @Sendable (Result<Void, TLSError>) -> Void
  private let state: Mutex<State>

  /// Reads the files. `onReload` is told when they were read again, and whether they could be used.
  ///
  /// Throws `TLSError` for a file that cannot be read, holds no certificate or key, or does not fit the others.
  public init(
    _ files: TLSFiles, onReload: @escaping @Sendable (Result<Void, TLSError>) -> Void = { _ in }
  ) throws(TLSError) {
    self.files = files
    self.onReload = onReload
    state = Mutex(try Self.load(files))
  }

  var serverContext: NIOSSLContext { current { $0.server } }
  var clientContext: NIOSSLContext { current { $0.client } }

  private func current(_ context: (State) -> NIOSSLContext) -> NIOSSLContext {
    let stamps = files.all.map { FileStamp($0) }
    let (current, reloaded) = state.withLock { state -> (NIOSSLContext, Result<Void, TLSError>?) in
      guard stamps != state.stamps else { return (context(state), nil) }
      // Looked at once for each change: half a renewal is followed by another.
      state.stamps = stamps
      do throws(TLSError) {
        state = try Self.load(files)
        return (context(state), .success(()))
      } catch {
        return (context(state), .failure(error))
      }
    }
    if let reloaded { onReload(reloaded) }
    return current
  }

  private static func load(_ files: TLSFiles) throws(TLSError) -> State {
    let stamps = files.all.map { FileStamp($0) }
    let chain = try read(files.certificate, "certificate") { try NIOSSLCertificate.fromPEMFile($0) }
    guard !chain.isEmpty else { throw TLSError(description: "\(files.certificate): there is no certificate in it") }
    let key = try read(files.key, "private key") { try NIOSSLPrivateKey(file: $0, format: .pem) }
    let authorities = try read(files.authority, "authority") { try NIOSSLCertificate.fromPEMFile($0) }
    guard !authorities.isEmpty else { throw TLSError(description: "\(files.authority): there is no certificate in it") }

    var server = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    server.trustRoots = .certificates(authorities)
    // Whoever calls shows a certificate; it names a service, not the host that it comes from.
    server.certificateVerification = .noHostnameVerification
    server.minimumTLSVersion = .tlsv13
    var client = TLSConfiguration.makeClientConfiguration()
    client.trustRoots = .certificates(authorities)
    client.certificateChain = chain.map { .certificate($0) }
    client.privateKey = .privateKey(key)
    client.minimumTLSVersion = .tlsv13
    do {
      return State(
        stamps: stamps, server: try NIOSSLContext(configuration: server),
        client: try NIOSSLContext(configuration: client))
    } catch {
      throw TLSError(description: "\(files.key) is not the private key of \(files.certificate)")
    }
  }

  private static func read<Value>(
    _ path: String, _ what: String, _ body: (String) throws -> Value
  ) throws(TLSError) -> Value {
    guard access(path, R_OK) == 0 else {
      throw TLSError(description: "\(path): the \(what) cannot be read: \(String(cString: strerror(errno)))")
    }
    do {
      return try body(path)
    } catch {
      throw TLSError(description: "\(path): this is no \(what) in PEM form")
    }
  }
}

/// What tells whether a file has changed.
private struct FileStamp: Hashable {
  private var device: UInt = 0
  private var node: UInt = 0
  private var size: Int = 0
  private var seconds: Int = 0
  private var nanoseconds: Int = 0

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    device = UInt(status.st_dev)
    node = UInt(status.st_ino)
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}

extension NIOSSLCertificate {
  /// Who the certificate says its owner is: its first URI (RFC 5280, section 4.2.1.6), such as `spiffe://chancery/signer`.
  var identity: String? {
    let uri = _subjectAlternativeNames().first { $0.nameType == .uri }
    return uri.flatMap { String(validating: $0.contents, as: UTF8.self) }
  }
}
