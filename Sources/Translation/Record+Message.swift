public import Domain
public import Schema
public import Storage

extension Record {
  /// The record as a message.
  public var message: ChanceryV1.Record {
    ChanceryV1.Record(
      recordID: id.rawValue, externalID: externalID ?? "", payload: payload, createdAtUs: createdAt?.rawValue ?? 0)
  }
}

extension StoredSignature {
  /// The signature as a message.
  public var message: ChanceryV1.Signature {
    ChanceryV1.Signature(
      recordID: recordID.rawValue, jobID: jobID.description, batchSeq: UInt32(batchSeq), keyID: keyID.rawValue,
      keyEpoch: epoch.rawValue, algorithm: algorithm.message, signature: signature, payloadDigest: payloadDigest,
      signedAtUs: signedAt.rawValue, externalID: externalID ?? "", payload: payload ?? [],
      form: form.message)
  }
}

extension RecordStatus {
  /// The status as a message.
  public var message: ChanceryV1.RecordStatus {
    ChanceryV1.RecordStatus(
      recordID: recordID.rawValue, state: state.message, signature: signature?.message,
      failure: failure.map {
        ChanceryV1.RecordFailure(jobID: failedIn?.description ?? "", code: $0.code.rawValue, message: $0.message)
      })
  }
}

extension Source {
  /// The source as a message.
  public var message: ChanceryV1.Source {
    ChanceryV1.Source(
      name: name, relation: relation, idColumn: idColumn, payloadColumn: payloadColumn,
      payloadType: payloadType == .bytea ? .bytea : .text)
  }
}

extension RecordState {
  fileprivate var message: ChanceryV1.RecordState {
    switch self {
    case .pending: .pending
    case .leased: .leased
    case .signed: .signed
    case .failed: .failed
    }
  }
}
