import ArgumentParser
import RPCTransport

/// The certificates with which a command or service shows who it is, and knows others.
struct TLSOptions: ParsableArguments {
  @Option(
    help: "Certificate in PEM form, with those of intermediate authorities (CHANCERY_TLS_CERT).", completion: .file())
  var tlsCert: String?

  @Option(help: "Private key of the certificate (CHANCERY_TLS_KEY).", completion: .file())
  var tlsKey: String?

  @Option(help: "Certificates of the authorities that are trusted (CHANCERY_TLS_CA).", completion: .file())
  var tlsCa: String?

  /// The files, if TLS is wanted: all three or none. Services have no context.
  func files(_ context: NamedContext? = nil) throws -> TLSFiles? {
    let settings: [(Setting, String?)] = [(.tlsCert, tlsCert), (.tlsKey, tlsKey), (.tlsCa, tlsCa)]
    let values = settings.map { Settings.resolve($0.0, flag: $0.1, context: context)?.value }
    if values.allSatisfy({ $0 == nil }) { return nil }
    if let missing = values.firstIndex(of: nil) {
      let setting = settings[missing].0
      throw CommandFailure.usage(
        "--\(setting.option) is needed (or \(setting.variable)): TLS takes a certificate, its key and authorities")
    }
    return TLSFiles(certificate: values[0] ?? "", key: values[1] ?? "", authority: values[2] ?? "")
  }

  /// The credentials, if TLS is wanted.
  func credentials() throws -> TLSCredentials? {
    try files().map { try TLSCredentials(reading: $0) }
  }
}

extension TLSCredentials {
  /// Reads the files; throws a usage failure that names what is wrong with them. A renewal that cannot be used is told on
  /// standard error.
  convenience init(reading files: TLSFiles) throws {
    do {
      try self.init(files) { result in
        if case .failure(let error) = result {
          StandardError.write("renewed certificates are not used: \(error.description)\n")
        }
      }
    } catch {
      throw CommandFailure.usage(error.description)
    }
  }
}
