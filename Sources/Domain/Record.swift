/// Something to sign: bytes with an id. Records are only ever added.
public struct Record: Sendable, Hashable {
  /// The largest payload in bytes.
  public static let maximumPayloadBytes = 1024 * 1024
  /// The longest external id in bytes of UTF-8.
  public static let maximumExternalIDBytes = 256

  /// The id that the database gave it.
  public var id: RecordID
  /// The client's own name for it; nil for none.
  public var externalID: String?
  /// The bytes to sign; may be empty.
  public var payload: [UInt8]
  /// When it was stored; nil in a source that does not tell.
  public var createdAt: Timestamp?

  /// Makes a record.
  public init(id: RecordID, externalID: String?, payload: [UInt8], createdAt: Timestamp?) {
    self.id = id
    self.externalID = externalID
    self.payload = payload
    self.createdAt = createdAt
  }
}

/// What became of a record. Not stored but derived, for there is no row per record until it is signed.
public enum RecordState: String, Sendable, Hashable, CaseIterable {
  /// Not signed, and in no batch that is being signed.
  case pending
  /// In a batch that is being signed.
  case leased
  /// Signed; this never changes.
  case signed
  /// Cannot be signed.
  case failed

  /// The state that follows from what is stored: a signature outweighs a failure of some job, a failure outweighs a batch
  /// under way.
  public init(hasSignature: Bool, hasFailure: Bool, isInLeasedBatch: Bool) {
    self = hasSignature ? .signed : hasFailure ? .failed : isInLeasedBatch ? .leased : .pending
  }
}

/// A record that could not be signed, whatever becomes of the others of its batch.
public struct RecordFailure: Sendable, Hashable {
  /// The longest message kept, in bytes.
  public static let maximumMessageBytes = 1024

  /// The record.
  public var recordID: RecordID
  /// What kind of failure.
  public var code: RecordFailureCode
  /// For people: no payload and no key material.
  public var message: String

  /// Makes a failure.
  public init(recordID: RecordID, code: RecordFailureCode, message: String) {
    self.recordID = recordID
    self.code = code
    self.message = message
  }
}

extension RecordFailure {
  /// A payload that no record may have.
  public static func payloadTooLarge(_ record: RecordID, bytes: Int) -> RecordFailure {
    RecordFailure(
      recordID: record, code: .payloadTooLarge,
      message: "a payload of \(bytes) bytes is above the limit of \(Record.maximumPayloadBytes)")
  }

  /// A payload that is not there.
  public static func payloadMissing(_ record: RecordID) -> RecordFailure {
    RecordFailure(recordID: record, code: .payloadMissing, message: "the payload is NULL")
  }
}

/// What kind of failure kept a record from being signed; `docs/errors.md` explains each.
public struct RecordFailureCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The code as stored.
  public let rawValue: String

  /// Wraps a code, which may come from another version.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// The cryptographic library refused.
  public static let signingFailed = RecordFailureCode(rawValue: "signing_failed")
  /// The batch failed as often as its budget allows.
  public static let batchFailed = RecordFailureCode(rawValue: "batch_failed")

  /// The payload of a mapped table is above the limit.
  public static let payloadTooLarge = RecordFailureCode(rawValue: "payload_too_large")
  /// The payload of a mapped table or view is NULL.
  public static let payloadMissing = RecordFailureCode(rawValue: "payload_missing")

  /// The code.
  public var description: String { rawValue }
}
