import Domain
import RPC
import Schema
import Storage
import Synchronization
import Telemetry
import TimeAndChance
import Translation

/// Takes in records and gives out signatures.
struct RecordsEndpoint: ChanceryV1.Records.Service {
  let coordinator: Coordinator

  /// See `Protos/chancery/v1/records.proto`.
  func put(
    _ requests: RPCReader<ChanceryV1.PutRecordsRequest>, context: ServerContext
  ) async throws -> ChanceryV1.PutRecordsResponse {
    var response = ChanceryV1.PutRecordsResponse()
    var position: UInt64 = 0
    while let request = try await requests.next() {
      let records = try request.records.enumerated().map { index, record in
        try NewRecord(record, position: position + UInt64(index))
      }
      try checkSize(records)
      position += UInt64(records.count)
      guard !records.isEmpty else { continue }
      let outcome = try await coordinator.stored { () async throws(StorageError) in
        try await coordinator.store.put(records)
      }
      response.inserted += UInt64(outcome.inserted)
      response.existing += UInt64(outcome.existing)
      response.lastRecordID = max(response.lastRecordID, outcome.lastID?.rawValue ?? 0)
      coordinator.observer.count("chancery_records_put_total", by: Double(outcome.inserted))
    }
    return response
  }

  /// See `Protos/chancery/v1/records.proto`.
  func get(_ request: ChanceryV1.GetRecordRequest, context: ServerContext) async throws -> ChanceryV1.Record {
    let name = try RecordName(request.name)
    let source = try await source(request.source)
    let record = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.record(name, source: source)
    }
    guard let record else { throw Self.noRecord(name) }
    return record.message
  }

  /// See `Protos/chancery/v1/records.proto`.
  func getStatus(
    _ request: ChanceryV1.GetRecordStatusRequest, context: ServerContext
  ) async throws -> ChanceryV1.RecordStatus {
    let name = try RecordName(request.name)
    let job = try request.jobID.isEmpty ? nil : JobID(parsing: request.jobID, field: "job_id")
    let source = try await source(request.source)
    let status = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.status(name, source: source, job: job)
    }
    guard let status else { throw Self.noRecord(name) }
    return status.message
  }

  /// See `Protos/chancery/v1/records.proto`.
  func listSources(
    _ request: ChanceryV1.ListSourcesRequest, context: ServerContext
  ) async throws -> ChanceryV1.ListSourcesResponse {
    let sources = try await coordinator.stored { () async throws(StorageError) in try await coordinator.store.sources()
    }
    return ChanceryV1.ListSourcesResponse(sources: sources.map(\.message))
  }

  /// See `Protos/chancery/v1/records.proto`.
  func export(
    _ request: ChanceryV1.ExportSignaturesRequest, replies: RPCWriter<ChanceryV1.ExportSignaturesResponse>,
    context: ServerContext
  ) async throws {
    var sourceName = request.source
    var jobID: JobID?
    if !request.jobID.isEmpty {
      let id = try JobID(parsing: request.jobID, field: "job_id")
      let job = try await coordinator.stored { () async throws(StorageError) in try await coordinator.store.job(id) }
      guard let job else { throw RPCError(.notFound, "there is no job \(id)") }
      (jobID, sourceName) = (id, job.sourceName)
    }
    let query = SignatureQuery(
      source: try await source(sourceName), job: jobID, includesPayload: request.includePayload)
    var after = request.afterRecordID == 0 ? nil : RecordID(rawValue: request.afterRecordID)
    while true {
      let page = try await coordinator.stored { () async throws(StorageError) in
        try await coordinator.store.signatures(query, after: after, maximumBytes: StreamLimits.chunkBytes)
      }
      guard let last = page.last else { return }
      try await replies.write(ChanceryV1.ExportSignaturesResponse(signatures: page.map(\.message)))
      after = last.recordID
    }
  }

  private func source(_ name: String) async throws(RPCError) -> Source {
    let name = name.isEmpty ? Source.records : name
    let source = try await coordinator.stored { () async throws(StorageError) in
      try await coordinator.store.source(named: name)
    }
    guard let source else { throw RPCError(.notFound, "there is no source '\(name.prefix(64))'") }
    return source
  }

  private func checkSize(_ records: [NewRecord]) throws(RPCError) {
    let bytes = records.reduce(0) { $0 + $1.payload.count }
    guard records.count <= StreamLimits.chunkRecords, bytes <= StreamLimits.chunkBytes || records.count == 1 else {
      throw RPCError(
        .invalidArgument,
        "a request has \(records.count) records and \(bytes) bytes of payload; at most \(StreamLimits.chunkRecords) "
          + "records and \(StreamLimits.chunkBytes) bytes fit")
    }
  }

  private static func noRecord(_ name: RecordName) -> RPCError {
    switch name {
    case .id(let id): RPCError(.notFound, "there is no record \(id)")
    case .externalID(let text): RPCError(.notFound, "there is no record with the external id '\(text.prefix(64))'")
    }
  }
}

extension NewRecord {
  fileprivate init(_ message: ChanceryV1.NewRecord, position: UInt64) throws(RPCError) {
    let size = message.payload.count
    guard size <= Record.maximumPayloadBytes else {
      throw RPCError(
        .invalidArgument,
        "record \(position): a payload of \(size) bytes is above the limit of \(Record.maximumPayloadBytes)")
    }
    let name = message.externalID
    guard name.utf8.count <= Record.maximumExternalIDBytes else {
      throw RPCError(
        .invalidArgument,
        "record \(position): an external id of \(name.utf8.count) bytes is above the limit of "
          + "\(Record.maximumExternalIDBytes)")
    }
    self.init(payload: message.payload, externalID: name.isEmpty ? nil : name)
  }
}

extension RecordName {
  fileprivate init(_ name: ChanceryV1.GetRecordRequest.Name?) throws(RPCError) {
    switch name {
    case .recordID(let id): self = .id(RecordID(rawValue: id))
    case .externalID(let text): self = .externalID(text)
    case nil: throw Self.missing
    }
  }

  fileprivate init(_ name: ChanceryV1.GetRecordStatusRequest.Name?) throws(RPCError) {
    switch name {
    case .recordID(let id): self = .id(RecordID(rawValue: id))
    case .externalID(let text): self = .externalID(text)
    case nil: throw Self.missing
    }
  }

  private static var missing: RPCError { RPCError(.invalidArgument, "name the record by record_id or external_id") }
}
