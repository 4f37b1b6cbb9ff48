public import Domain
public import RPC
public import Schema

extension UniqueID {
  /// The id in a field of a message; throws `INVALID_ARGUMENT` naming the field and the value.
  public init(parsing text: String, field: String) throws(RPCError) {
    guard let id = Self(text) else {
      throw RPCError(.invalidArgument, "\(field) '\(text.prefix(64))' is not a UUID")
    }
    self = id
  }
}

extension BatchAttempt {
  /// The attempt that a message names; throws `INVALID_ARGUMENT` if it is absent or malformed.
  public init(_ message: ChanceryV1.BatchRef?) throws(RPCError) {
    guard let message else { throw RPCError(.invalidArgument, "batch is missing") }
    guard let seq = Int32(exactly: message.seq), let attempt = Int32(exactly: message.attempt), attempt > 0 else {
      throw RPCError(.invalidArgument, "batch \(message.seq) attempt \(message.attempt) is out of range")
    }
    self.init(jobID: try JobID(parsing: message.jobID, field: "job_id"), seq: seq, attempt: attempt)
  }

  /// The attempt as messages name it.
  public var message: ChanceryV1.BatchRef {
    ChanceryV1.BatchRef(jobID: jobID.description, seq: UInt32(seq), attempt: UInt32(attempt))
  }
}
