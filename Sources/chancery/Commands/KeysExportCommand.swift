import ArgumentParser
import Domain
import Schema
import Signing

extension KeysCommand {
  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write all public keys for other programs.",
      discussion: """
        jwks is a JWK set (RFC 7517), in which each key has the id that a JWS names it by; pem is one PEM block after another, \
        in the order of the keys' ids. Example: chancery keys export --format jwks > keys.jwks
        """)

    /// As what keys are written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
      /// A JWK set (RFC 7517).
      case jwks
      /// SubjectPublicKeyInfo as PEM.
      case pem
    }

    @Option(help: "As what to write them: jwks or pem.") var format = Format.jwks
    @Option(help: "Only keys of this algorithm.") var algorithm: SignatureAlgorithm?
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let keys = try await connection.with(.keykeeper) { channel in
        try await KeyListing.all(algorithm, on: channel, options: connection.call)
      }
      let publicKeys = try keys.map { (id: KeyID(rawValue: $0.keyID), key: try PublicKey(spki: $0.publicKeySpki)) }
      switch format {
      case .jwks: StandardOutput.write(JSONText.document(["keys": publicKeys.map { $0.key.jwk($0.id) }]))
      case .pem: StandardOutput.write(publicKeys.map(\.key.pem).joined())
      }
    }
  }
}
