import Glibc
import PostgresDriver
import Testing

private struct BodyError: Error {}

/// Proves that COPY moves many rows in both directions without holding them in memory, that the binary format is read and
/// written right, and that a COPY that is broken off leaves nothing behind and the connection usable.
@Suite(.postgresServer, .timeLimit(.minutes(3)))
struct CopyTests {
  private let rows: Int64 = 100_000

  private func createTable(_ connection: PostgresConnection) async throws {
    try await connection.execute(
      "CREATE TEMPORARY TABLE copied (id bigint, payload bytea, name text, key uuid, at timestamptz)")
  }

  /// Peak memory of this process in bytes. It never shrinks, so a difference is what was needed in between.
  private func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }

  private func encode(_ ids: ClosedRange<Int64>, to write: ([UInt8]) async throws -> Void) async throws {
    var encoder = PostgresCopyEncoder(columns: 5)
    let payload = [UInt8](repeating: 0xab, count: 4000)
    for id in ids {
      encoder.beginRow()
      encoder.append(id)
      encoder.append(payload)
      if id.isMultiple(of: 2) { encoder.append("name \(id)") } else { encoder.appendNull() }
      encoder.append(PostgresUUID(high: UInt64(id), low: .max))
      encoder.append(PostgresTimestamp(unixMicroseconds: id))
      if encoder.byteCount >= 128 << 10 { try await write(encoder.take()) }
    }
    try await write(encoder.finish())
  }

  @Test func `a hundred thousand rows in and out in binary, in bounded memory`() async throws {
    try await withConnection { connection in
      try await createTable(connection)
      let before = peakMemory()
      let copied = try await connection.copyIn("COPY copied FROM STDIN (FORMAT binary)") { writer in
        try await encode(1...rows) { try await writer.write($0) }
      }
      #expect(copied == Int(rows))

      var decoder = PostgresCopyDecoder()
      var sum: Int64 = 0
      var names = 0
      var largest = 0
      try await connection.copyOut("COPY copied TO STDOUT (FORMAT binary)", chunkBytes: 128 << 10) { chunk in
        largest = max(largest, chunk.count)
        try decoder.decode(chunk) { row throws(PostgresError) in
          let id = try row.int64(0)
          sum += id
          if !row.isNull(2) { names += try row.text(2) == "name \(id)" ? 1 : 0 }
          #expect(try row.withBytes(1) { $0.count } == 4000)
          #expect(try row.uuid(3) == PostgresUUID(high: UInt64(id), low: .max))
          #expect(try row.timestamp(4) == PostgresTimestamp(unixMicroseconds: id))
        }
      }
      #expect(decoder.isAtEnd)
      #expect(sum == rows * (rows + 1) / 2 && names == Int(rows) / 2)
      #expect(largest < 133 << 10)
      // 400 MB went each way. The rest is what other tests need at the same time.
      #expect(peakMemory() - before < 200 << 20)
    }
  }

  @Test func `text in pieces that end within rows`() async throws {
    try await withConnection { connection in
      try await createTable(connection)
      let copied = try await connection.copyIn("COPY copied (id, name) FROM STDIN") { writer in
        for piece in ["1\to", "ne\n2", "\t\\N\n", "3\tthree"] { try await writer.write(Array(piece.utf8)) }
      }
      #expect(copied == 3)
      var text: [UInt8] = []
      try await connection.copyOut("COPY (SELECT id, name FROM copied ORDER BY id) TO STDOUT") { text += $0 }
      #expect(String(decoding: text, as: UTF8.self) == "1\tone\n2\t\\N\n3\tthree\n")
    }
  }

  @Test func `an error in the data is thrown at the end and nothing is copied`() async throws {
    try await withConnection { connection in
      try await createTable(connection)
      let error = try await postgresError {
        try await connection.copyIn("COPY copied (id) FROM STDIN") { writer in
          try await writer.write(Array("1\nx\n".utf8))
          for _ in 0..<100 { try await writer.write([UInt8](repeating: UInt8(ascii: "1"), count: 100_000)) }
        }
      }
      #expect(error.code == .server && error.sqlState?.rawValue == "22P02")
      #expect(try await connection.query("SELECT count(*) FROM copied").int64(0, 0) == 0)
    }
  }

  @Test func `a body that throws ends either COPY without effect`() async throws {
    try await withConnection { connection in
      try await createTable(connection)
      await #expect(throws: BodyError.self) {
        try await connection.copyIn("COPY copied (id) FROM STDIN") { writer in
          try await writer.write(Array("1\n".utf8))
          throw BodyError()
        }
      }
      #expect(try await connection.query("SELECT count(*) FROM copied").int64(0, 0) == 0)
      await #expect(throws: BodyError.self) {
        try await connection.copyOut("COPY (SELECT * FROM generate_series(1, 10000000)) TO STDOUT") { _ in
          throw BodyError()
        }
      }
      #expect(connection.isReusable)
      #expect(try await connection.query("SELECT 1").int32(0, 0) == 1)
    }
  }

  @Test func `a refused COPY, one that is none, and a query within a COPY are errors`() async throws {
    try await withConnection { connection in
      let missing = try await postgresError { try await connection.copyIn("COPY missing FROM STDIN") { _ in } }
      #expect(missing.sqlState == .undefinedTable)
      let none = try await postgresError { try await connection.copyOut("SELECT 1") { _ in } }
      #expect(none.code == .misuse)
      try await createTable(connection)
      let inner = try await postgresError {
        try await connection.copyIn("COPY copied (id) FROM STDIN") { _ in _ = try await connection.query("SELECT 1") }
      }
      #expect(inner.code == .misuse)
      #expect(try await connection.query("SELECT 1").int32(0, 0) == 1)
    }
  }

  @Test func `cancelling the task ends a COPY in both directions`() async throws {
    try await withConnection { connection in
      try await createTable(connection)
      let out = Task {
        try await connection.copyOut("COPY (SELECT pg_sleep(60)) TO STDOUT") { _ in }
      }
      try await withConnection {
        try await untilTrue("EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep')", $0)
      }
      out.cancel()
      let stopped = try await postgresError { try await out.value }
      #expect(stopped.code == .cancelled, "\(stopped)")
      let copyIn = Task {
        try await connection.copyIn("COPY copied (id) FROM STDIN") { writer in
          try await writer.write(Array("1\n".utf8))
          withUnsafeCurrentTask { $0?.cancel() }
          // The first pieces may still go through: the kernel takes them without waiting.
          for _ in 0..<1_000_000 { try await writer.write(Array("1\n".utf8)) }
        }
      }
      #expect(try await postgresError { try await copyIn.value }.code == .cancelled)
      #expect(try await connection.query("SELECT count(*) FROM copied").int64(0, 0) == 0)
    }
  }

  @Test func `malformed binary data is refused`() async throws {
    for bytes: [UInt8] in [Array("text\n".utf8), Array("PGCOPY\n".utf8), [UInt8](repeating: 0, count: 64)] {
      var decoder = PostgresCopyDecoder()
      let error = try await postgresError { try decoder.decode(bytes) { _ in } }
      #expect(error.code == .protocolViolation)
    }
    var encoder = PostgresCopyEncoder(columns: 1)
    encoder.beginRow()
    encoder.append(Int64(1))
    let whole = encoder.finish()
    for cut in [20, 22, 28] {
      var decoder = PostgresCopyDecoder()
      let error = try await postgresError { try decoder.decode(Array(whole.prefix(cut))) { _ in } }
      #expect(error.code == .protocolViolation, "\(cut)")
    }
  }

  @Test func `a cursor reads a large result in chunks of bounded size`() async throws {
    try await withConnection { connection in
      let statement = PostgresStatement("SELECT g, repeat('x', 10000) FROM generate_series(1, $1::int8) g")
      var chunks = 0
      let sum = try await connection.withCursor(statement, [.int64(5000)], rows: 1000, bytes: 1 << 20) { cursor in
        var sum: Int64 = 0
        while let chunk = try await cursor.next() {
          chunks += 1
          #expect(chunk.memoryBytes < 3 << 20)
          sum += try chunk.int64Column(0).reduce(0, +)
          // Another statement may run in between.
          if chunks == 2 { #expect(try await connection.query("SELECT 1").int32(0, 0) == 1) }
        }
        return sum
      }
      #expect(sum == 5000 * 5001 / 2)
      #expect(chunks > 40)
      #expect(connection.isReusable)
      let first = try await connection.withCursor(statement, [.int64(5000)]) { try await $0.next()?.int64(0, 0) }
      #expect(first == 1)
      let inTransaction = try await connection.transaction { connection in
        try await connection.withCursor("VALUES (7), (8)") { try await $0.next()?.rowCount }
      }
      #expect(inTransaction == 2)
    }
  }
}
