internal import FoundationEssentials
public import Signing
internal import Synchronization

/// Signs manifests with the coordinator's own key. That key signs nothing else.
public final class ManifestSigner: Sendable {
  /// The public half, which those who check manifests have to know.
  public let publicKey: PublicKey
  private let signer: Mutex<BatchSigner>

  /// Decodes the key.
  public init(_ key: borrowing PrivateKey) throws(SigningError) {
    publicKey = try key.publicKey
    signer = Mutex(try BatchSigner(key))
  }

  /// Signs a statement.
  public func seal(_ statement: ManifestStatement) throws(SigningError) -> ManifestSeal {
    let text = statement.text
    var signature: [UInt8] = []
    try signer.withLock { (signer) throws(SigningError) in
      _ = try signer.sign(Array(text.utf8).span, appendingTo: &signature)
    }
    return ManifestSeal(statement: text, signature: Data(signature), publicKey: Data(publicKey.der))
  }
}
