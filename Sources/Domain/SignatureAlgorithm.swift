/// How a record is signed: a key has one algorithm, a job names one, and only keys of it sign the job's batches.
///
/// A signature always covers the exact payload bytes, so the `openssl` program alone can check it.
public enum SignatureAlgorithm: String, CaseIterable, Sendable, Hashable {
  /// ECDSA over NIST P-256 with SHA-256, signature as DER `Ecdsa-Sig-Value` (RFC 3279, 2.2.3). The default.
  case ecdsaP256 = "ecdsa-p256"
  /// Pure Ed25519 (RFC 8032, 5.1), signature of 64 bytes.
  case ed25519 = "ed25519"
  /// RSASSA-PSS (RFC 8017, 8.1) with a modulus of 2048 bits, SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
  case rsaPSS2048 = "rsa-pss-2048"
  /// As ``rsaPSS2048`` with a modulus of 3072 bits.
  case rsaPSS3072 = "rsa-pss-3072"
  /// As ``rsaPSS2048`` with a modulus of 4096 bits.
  case rsaPSS4096 = "rsa-pss-4096"

  /// What a job or a key gets when nothing is said.
  public static let `default` = SignatureAlgorithm.ecdsaP256

  /// The name used in the protocol, in SQL, in files and on the command line.
  public var name: String { rawValue }

  /// A stable number for storage and for authenticated data. Numbers are never reused.
  public var storageCode: UInt8 {
    switch self {
    case .ecdsaP256: 1
    case .ed25519: 2
    case .rsaPSS2048: 3
    case .rsaPSS3072: 4
    case .rsaPSS4096: 5
    }
  }

  /// The algorithm of a ``storageCode``, or nil if this version knows none with that number.
  public init?(storageCode: UInt8) {
    guard let match = Self.allCases.first(where: { $0.storageCode == storageCode }) else { return nil }
    self = match
  }

  /// The longest signature in bytes. ECDSA signatures are mostly one or two bytes shorter; the others never vary.
  public var maximumSignatureBytes: Int {
    switch self {
    case .ecdsaP256: 72
    case .ed25519: 64
    case .rsaPSS2048: 256
    case .rsaPSS3072: 384
    case .rsaPSS4096: 512
    }
  }

  /// The size of the RSA modulus in bits, or nil for an algorithm that is not RSA.
  public var rsaModulusBits: Int? {
    switch self {
    case .ecdsaP256, .ed25519: nil
    case .rsaPSS2048: 2048
    case .rsaPSS3072: 3072
    case .rsaPSS4096: 4096
    }
  }

  /// Parses a name exactly as ``name`` prints it.
  /// - Throws: ``UnknownSignatureAlgorithm``, whose description lists the valid names and the nearest one.
  public init(parsing name: some StringProtocol) throws(UnknownSignatureAlgorithm) {
    guard let match = Self(rawValue: String(name)) else { throw UnknownSignatureAlgorithm(name: String(name)) }
    self = match
  }
}

extension SignatureAlgorithm: CustomStringConvertible {
  /// The ``name``.
  public var description: String { rawValue }
}
