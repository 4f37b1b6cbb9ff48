internal import CPostgres

extension PostgresSession {
  /// Runs several statements in one round trip, each on its own: outside a transaction block each commits by itself.
  ///
  /// Throws only if nothing was sent. Otherwise each request has its own outcome.
  func pipeline(
    _ requests: [PostgresRequest], _ operation: inout Operation
  ) throws(PostgresError) -> [Result<PostgresResult, PostgresError>] {
    let connection = try begin(operation)
    var outcomes: [Result<PostgresResult, PostgresError>?] = Array(repeating: nil, count: requests.count)
    var types: [[PostgresType]] = Array(repeating: [], count: requests.count)
    for (index, request) in requests.enumerated() {
      do {
        types[index] = try prepare(request.statement, connection, &operation)
      } catch {
        // Nothing was sent but what prepares: the others run nevertheless, if the connection stands.
        guard handle != nil, operation.cause == nil else { throw error }
        outcomes[index] = .failure(error)
      }
    }
    operation.isAtRisk = isAtRisk(connection) && requests.contains { !$0.statement.isReadOnly }
    try sent(PQenterPipelineMode(connection), connection, operation)
    var pending: [Int] = []
    for (index, request) in requests.enumerated() where outcomes[index] == nil {
      do {
        let status = try send(request.statement, request.parameters, types: types[index], connection)
        pending.append(index)
        guard status == 1, PQpipelineSync(connection) == 1 else { break }
      } catch {
        outcomes[index] = .failure(error)
      }
    }

    var position = 0
    do {
      try readPipeline(connection, &operation, syncs: pending.count) { result, operation in
        let index = pending[position]
        outcomes[index] = outcome(of: result, connection, operation.about(requests[index].statement))
      } onSync: {
        position += 1
      }
      try leavePipeline(connection, operation)
      settle(&operation)
      publishStatus()
    } catch {
      for index in outcomes.indices where outcomes[index] == nil { outcomes[index] = .failure(error) }
    }
    for case (let request, .failure(let error)?) in zip(requests, outcomes) {
      _ = statements.refresh(request.statement, after: error)
    }
    return outcomes.map { $0 ?? .failure(operation.lost("before its answer came")) }
  }

  /// Runs several statements in one round trip, all or none: outside a transaction block they are one transaction.
  func atomicPipeline(
    _ requests: [PostgresRequest], _ operation: inout Operation
  ) throws(PostgresError) -> [PostgresResult] {
    let connection = try begin(operation)
    var types: [[PostgresType]] = []
    for request in requests { types.append(try prepare(request.statement, connection, &operation)) }
    operation.isAtRisk = isAtRisk(connection) && requests.contains { !$0.statement.isReadOnly }
    try sent(PQenterPipelineMode(connection), connection, operation)
    for (index, request) in requests.enumerated() {
      do {
        let status = try send(request.statement, request.parameters, types: types[index], connection)
        try sent(status, connection, operation)
      } catch {
        // The statements before must not be committed. That happens at the synchronisation point, which has not been
        // sent: a connection that ends without it has done nothing.
        close()
        throw error
      }
    }
    try sent(PQpipelineSync(connection), connection, operation)

    var results: [PostgresResult] = []
    var failure: PostgresError?
    try readPipeline(connection, &operation, syncs: 1) { result, operation in
      let index = min(results.count, requests.count - 1)
      switch outcome(of: result, connection, operation.about(requests[index].statement)) {
      case .success(let result): results.append(result)
      case .failure(let error): if failure == nil { failure = error }
      }
    }
    try leavePipeline(connection, operation)
    settle(&operation)
    publishStatus()
    if let failure {
      if results.count < requests.count { _ = statements.refresh(requests[results.count].statement, after: failure) }
      throw failure
    }
    guard results.count == requests.count else { throw operation.lost("before all answers came") }
    return results
  }

  /// Reads results until so many synchronisation points have been seen or the connection has ended.
  ///
  /// `onResult` takes the result over. In pipeline mode nil separates the results of two statements.
  func readPipeline(
    _ connection: OpaquePointer, _ operation: inout Operation, syncs: Int,
    onResult: (OpaquePointer, Operation) -> Void, onSync: () -> Void = {}
  ) throws(PostgresError) {
    var seen = 0
    var separators = 0
    while seen < syncs {
      guard let result = try nextResult(connection, &operation) else {
        separators += 1
        if PQstatus(connection) != CONNECTION_OK { return }
        if separators <= 2 { continue }
        close()
        throw PostgresError(.protocolViolation, "\(operation.what): libpq gave fewer results than statements were sent")
      }
      separators = 0
      if PQresultStatus(result) == PGRES_PIPELINE_SYNC {
        PQclear(result)
        seen += 1
        onSync()
        continue
      }
      // The result that libpq makes up when the connection has ended is the last.
      let isLast =
        PQresultStatus(result) == PGRES_FATAL_ERROR && PQresultErrorField(result, chancery_pg_sqlstate) == nil
      onResult(result, operation)
      if handle == nil || isLast { return }
    }
  }

  /// Back to one statement at a time; closes a connection with which that is not possible.
  func leavePipeline(_ connection: OpaquePointer, _ operation: Operation) throws(PostgresError) {
    guard handle != nil else { return }
    if PQstatus(connection) != CONNECTION_OK { return close() }
    guard PQexitPipelineMode(connection) == 1 else {
      let reason = PostgresError.firstLine(PQerrorMessage(connection))
      close()
      throw PostgresError(
        .protocolViolation, "\(operation.what): the pipeline did not end as it should: \(reason)",
        isOutcomeUnknown: operation.isAtRisk)
    }
  }
}
