public import Domain

/// What a sealed key may be used for. It is authenticated with the message but not part of it: both sides must state
/// the same purpose, so that a message recorded earlier cannot be passed off as another.
public enum SealPurpose: Sendable, Hashable {
  /// A keeper lends the key to a signer, for one lease.
  case lease(KeyID, Epoch)
  /// A client brings a key for the ring.
  case keyImport(SignatureAlgorithm)

  /// Unambiguous: the first byte tells the cases apart, and all fields have a fixed size.
  ///
  /// - lease: `01`, key id (8 bytes, big-endian), epoch (8 bytes, big-endian)
  /// - import: `02`, ``SignatureAlgorithm/storageCode`` (1 byte)
  var associatedData: [UInt8] {
    switch self {
    case .lease(let keyID, let epoch):
      [1] + keyID.bytes + withUnsafeBytes(of: epoch.rawValue.bigEndian) { Array($0) }
    case .keyImport(let algorithm):
      [2, algorithm.storageCode]
    }
  }
}
