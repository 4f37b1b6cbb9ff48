/// A key of the keyring, without its private part.
public struct Key: Sendable, Hashable {
  /// The longest label in bytes of UTF-8.
  public static let maximumLabelBytes = 128

  /// Its number.
  public var id: KeyID
  /// What it signs with.
  public var algorithm: SignatureAlgorithm
  /// Where it stands.
  public var state: KeyState
  /// The public key: DER of a SubjectPublicKeyInfo.
  public var publicKey: [UInt8]
  /// For people; may be empty.
  public var label: String
  /// The number of its newest lease.
  public var epoch: Epoch
  /// Who holds it; nil if nobody does.
  public var holder: String?
  /// When it was made or imported.
  public var createdAt: Timestamp

  /// Makes a key.
  public init(
    id: KeyID, algorithm: SignatureAlgorithm, state: KeyState, publicKey: [UInt8], label: String, epoch: Epoch,
    holder: String?, createdAt: Timestamp
  ) {
    self.id = id
    self.algorithm = algorithm
    self.state = state
    self.publicKey = publicKey
    self.label = label
    self.epoch = epoch
    self.holder = holder
    self.createdAt = createdAt
  }
}

/// Where a key stands.
public enum KeyState: String, Sendable, Hashable, CaseIterable {
  /// Leased to signers.
  case active
  /// Out of use; what was signed under its last lease and is not stored is refused.
  case disabled
  /// Out of use for good; the last lease may end.
  case retired

  /// Whether the key may go from this state to `next`. A state may always be entered again, without effect.
  public func mayBecome(_ next: KeyState) -> Bool {
    switch (self, next) {
    case (.retired, .active), (.retired, .disabled): false
    default: true
    }
  }
}
