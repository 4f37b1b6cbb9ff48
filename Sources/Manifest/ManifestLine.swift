public import FoundationEssentials

/// A line of a manifest, a JSON object with one member that says what it is. The header comes first; a key before the first
/// entry that names it; entries in the order of their records; then the records that failed alone; and the seal at the end.
public enum ManifestLine: Sendable, Hashable {
  /// What job it is of.
  case header(ManifestHeader)
  /// A public key.
  case key(ManifestKey)
  /// A signed record.
  case entry(ManifestEntry)
  /// A record that could not be signed.
  case failure(ManifestFailure)
  /// The signature of the coordinator.
  case seal(ManifestSeal)
}

/// What job a manifest is of.
public struct ManifestHeader: Codable, Sendable, Hashable {
  /// The version of the format.
  public static let version = 1

  /// The version of the format: 1.
  public var version: Int
  /// A UUID in text form.
  public var jobID: String
  /// The name of the source.
  public var source: String
  /// How its records are signed.
  public var algorithm: String
  /// What is signed of each.
  public var form: String
  /// Where the job stands: `done` or `cancelled`.
  public var state: String
  /// Records in batches; the job was to sign them.
  public var planned: Int64
  /// Records signed by the job: as many entries follow.
  public var signed: Int64
  /// Records that another job had signed before. They are in its manifest.
  public var alreadySigned: Int64
  /// Records that could not be signed; those of batches that failed as a whole are not listed.
  public var failed: Int64
  /// Microseconds since the Unix epoch.
  public var createdAt: Int64
  /// Microseconds since the Unix epoch; 0 if that is not known.
  public var endedAt: Int64

  enum CodingKeys: String, CodingKey {
    case version
    case jobID = "job_id"
    case source, algorithm, form, state, planned, signed
    case alreadySigned = "already_signed"
    case failed
    case createdAt = "created_at_us"
    case endedAt = "ended_at_us"
  }
}

/// A public key of a manifest.
public struct ManifestKey: Codable, Sendable, Hashable {
  /// Its id.
  public var keyID: Int64
  /// SubjectPublicKeyInfo in DER.
  public var publicKey: Data
  /// SHA-256 of that, in hexadecimal.
  public var fingerprint: String

  enum CodingKeys: String, CodingKey {
    case keyID = "key_id"
    case publicKey = "public_key_spki"
    case fingerprint = "sha256"
  }

  /// Makes a line.
  public init(keyID: Int64, publicKey: Data, fingerprint: String) {
    self.keyID = keyID
    self.publicKey = publicKey
    self.fingerprint = fingerprint
  }
}

/// A record that could not be signed.
public struct ManifestFailure: Codable, Sendable, Hashable {
  /// The record.
  public var recordID: Int64
  /// A documented code.
  public var code: String
  /// For people.
  public var message: String

  enum CodingKeys: String, CodingKey {
    case recordID = "record_id"
    case code, message
  }
}

/// The signature over a manifest.
public struct ManifestSeal: Codable, Sendable, Hashable {
  /// What is signed: the text of a ``ManifestStatement``.
  public var statement: String
  /// The signature over its UTF-8 bytes.
  public var signature: Data
  /// The coordinator's public key, SubjectPublicKeyInfo in DER. It proves nothing by itself: who checks has to know it.
  public var publicKey: Data

  enum CodingKeys: String, CodingKey {
    case statement, signature
    case publicKey = "public_key_spki"
  }

  /// Makes a seal.
  public init(statement: String, signature: Data, publicKey: Data) {
    self.statement = statement
    self.signature = signature
    self.publicKey = publicKey
  }
}

extension ManifestLine: Codable {
  enum CodingKeys: String, CodingKey { case header, key, entry, failure, seal }

  /// Reads an object with exactly one known member.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    guard let key = container.allKeys.first, container.allKeys.count == 1 else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "a line has one member that says what it is"))
    }
    self =
      switch key {
      case .header: .header(try container.decode(ManifestHeader.self, forKey: key))
      case .key: .key(try container.decode(ManifestKey.self, forKey: key))
      case .entry: .entry(try container.decode(ManifestEntry.self, forKey: key))
      case .failure: .failure(try container.decode(ManifestFailure.self, forKey: key))
      case .seal: .seal(try container.decode(ManifestSeal.self, forKey: key))
      }
  }

  /// Writes an object with one member.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .header(let header): try container.encode(header, forKey: .header)
    case .key(let key): try container.encode(key, forKey: .key)
    case .entry(let entry): try container.encode(entry, forKey: .entry)
    case .failure(let failure): try container.encode(failure, forKey: .failure)
    case .seal(let seal): try container.encode(seal, forKey: .seal)
    }
  }
}
