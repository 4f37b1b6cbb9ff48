import PostgresDriver
import Testing

/// Proves that every type of value reaches the server and comes back unchanged, in binary form, with its extreme values; and
/// that a value of a wrong type is refused on either side by an error that names it.
@Suite(.postgresServer, .timeLimit(.minutes(2)))
struct ValueTests {
  @Test func `whole numbers`() async throws {
    try await withConnection { connection in
      for value in [Int16.min, -1, 0, 1, .max] {
        let result = try await connection.query("SELECT $1::int2, $1::int2::text", [.int16(value)])
        #expect(try result.int16(0, 0) == value)
        #expect(try result.text(0, 1) == "\(value)")
      }
      for value in [Int32.min, -1, 0, 1, .max] {
        let result = try await connection.query("SELECT $1::int4, $1::int4::text", [.int32(value)])
        #expect(try result.int32(0, 0) == value)
        #expect(try result.text(0, 1) == "\(value)")
      }
      for value in [Int64.min, -1, 0, 1, .max] {
        let result = try await connection.query("SELECT $1::int8, $1::int8::text", [.int64(value)])
        #expect(try result.int64(0, 0) == value)
        #expect(try result.text(0, 1) == "\(value)")
      }
    }
  }

  @Test func `a whole number fits every integer type in whose range it is`() async throws {
    try await withConnection { connection in
      let result = try await connection.query("SELECT $1::int2, $2::int4, $3::oid", [.int64(7), .int16(8), .int64(9)])
      #expect(try [result.int64(0, 0), result.int64(0, 1), result.int64(0, 2)] == [7, 8, 9])
      let error = try await postgresError { try await connection.query("SELECT $1::int2", [.int64(32768)]) }
      #expect(error.code == .invalidParameter)
      #expect(error.message.contains("$1 is of type smallint and the value 32768 is out of its range"))
    }
  }

  @Test func `booleans, doubles and NULL`() async throws {
    try await withConnection { connection in
      for value in [true, false] {
        #expect(try await connection.query("SELECT $1::bool", [.bool(value)]).bool(0, 0) == value)
      }
      for value in [0, -0.0, 1.5, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude] {
        let result = try await connection.query("SELECT $1::float8", [.double(value)])
        #expect(try result.double(0, 0).bitPattern == value.bitPattern)
      }
      #expect(try await connection.query("SELECT $1::float8", [.double(.nan)]).double(0, 0).isNaN)
      #expect(try await connection.query("SELECT $1::float4", [.double(1.25)]).double(0, 0) == 1.25)
      let null = try await connection.query(
        "SELECT $1::int8, $2::text, $3::bytea, $4::uuid, $5::timestamptz, $6::interval, $7::bool, $8::float8",
        Array(repeating: .null, count: 8))
      #expect(try null.optionalInt64(0, 0) == nil && null.optionalText(0, 1) == nil && null.optionalBytes(0, 2) == nil)
      #expect(try null.optionalUUID(0, 3) == nil && null.optionalTimestamp(0, 4) == nil)
      #expect(
        try null.optionalInterval(0, 5) == nil && null.optionalBool(0, 6) == nil && null.optionalDouble(0, 7) == nil)
      #expect((0..<8).allSatisfy { null.isNull(row: 0, column: $0) })
    }
  }

  @Test func `texts`() async throws {
    try await withConnection { connection in
      for value in ["", "a", "ä€🖋", "'; DROP TABLE x; --", String(repeating: "x", count: 1 << 20), "\u{1}\u{7f}\n"] {
        let result = try await connection.query("SELECT $1::text, octet_length($1::text)", [.text(value)])
        #expect(try result.text(0, 0) == value)
        #expect(try result.int64(0, 1) == Int64(value.utf8.count))
      }
      let error = try await postgresError { try await connection.query("SELECT $1::text", [.text("a\0b")]) }
      #expect(error.code == .invalidParameter && error.message.contains("NUL"))
    }
  }

  @Test func `text is read by the server for any type, and json and enumerations are text`() async throws {
    try await withConnection { connection in
      try await connection.execute("CREATE TYPE mood AS ENUM ('calm', 'grim')")
      let result = try await connection.query(
        "SELECT $1::numeric::text, $2::jsonb, $3::mood, $4::uuid, $5::timestamptz, $6::json",
        [
          .text("12.50"), .text(#"{"a":1}"#), .text("grim"), .text("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
          .text("-infinity"), .text("[1]"),
        ])
      #expect(try result.text(0, 0) == "12.50")
      #expect(try result.text(0, 1) == #"{"a": 1}"#)
      #expect(try result.text(0, 2) == "grim")
      #expect(try result.uuid(0, 3).description == "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
      #expect(try result.timestamp(0, 4) == .negativeInfinity)
      #expect(try result.text(0, 5) == "[1]")
      let error = try await postgresError { try await connection.query("SELECT $1::bytea", [.text("\\x00")]) }
      #expect(error.code == .invalidParameter)
    }
  }

  @Test func `bytes, copied and borrowed`() async throws {
    try await withConnection { connection in
      for value: [UInt8] in [[], [0], Array(0...255), Array(repeating: 0xff, count: 1 << 20)] {
        let result = try await connection.query("SELECT $1::bytea, octet_length($1::bytea)", [.bytea(value)])
        #expect(try result.bytes(0, 0) == value)
        #expect(try result.int64(0, 1) == Int64(value.count))
        let sum = result.withBytes(row: 0, column: 0) { span in span.indices.reduce(0) { $0 + Int(span[$1]) } }
        #expect(sum == value.reduce(0) { $0 + Int($1) })
      }
      let null = try await connection.query("SELECT NULL::bytea")
      #expect(null.withBytes(row: 0, column: 0) { $0.count } == nil)
    }
  }

  @Test func `uuids, timestamps, intervals and durations`() async throws {
    try await withConnection { connection in
      var generator = SystemRandomNumberGenerator()
      for uuid in [PostgresUUID(high: 0, low: 0), .init(high: .max, low: .max), .random(using: &generator)] {
        let result = try await connection.query("SELECT $1::uuid, $1::uuid::text", [.uuid(uuid)])
        #expect(try result.uuid(0, 0) == uuid)
        #expect(try result.text(0, 1) == uuid.description)
        #expect(PostgresUUID(uuid.description) == uuid)
      }
      let epoch = PostgresTimestamp(unixMicroseconds: 0)
      for time in [epoch, .infinity, .negativeInfinity, .init(unixMicroseconds: 1_700_000_000_123_456)] {
        #expect(try await connection.query("SELECT $1::timestamptz", [.timestamp(time)]).timestamp(0, 0) == time)
      }
      let texts = try await connection.query(
        "SELECT $1::timestamptz::text, extract(epoch FROM $2::timestamptz)::float8",
        [.timestamp(epoch), .timestamp(.init(unixMicroseconds: 1_500_000))])
      #expect(try texts.text(0, 0) == "1970-01-01 00:00:00+00")
      #expect(try texts.double(0, 1) == 1.5)

      let interval = PostgresInterval(months: -14, days: 3, microseconds: -5)
      #expect(try await connection.query("SELECT $1::interval", [.interval(interval)]).interval(0, 0) == interval)
      let duration = Duration.seconds(90_061) + .microseconds(7)
      let back = try await connection.query("SELECT $1::interval, $1::interval::text", [.duration(duration)])
      #expect(try back.interval(0, 0).duration == duration)
      #expect(try back.text(0, 1) == "25:01:01.000007")
      #expect(interval.duration == nil)
    }
  }

  @Test func `arrays, also empty ones`() async throws {
    try await withConnection { connection in
      let uuids = [PostgresUUID(high: 1, low: 2), PostgresUUID(high: .max, low: 0)]
      let result = try await connection.query(
        "SELECT $1::bigint[], $2::int4[], $3::bool[], $4::text[], $5::uuid[], $6::bytea[], $7::text[], $8::varchar[]",
        [
          .int64Array([.min, 0, .max]), .int32Array([.min, .max]), .boolArray([true, false]),
          .textArray(["", "ä", "x"]),
          .uuidArray(uuids), .byteaArray([[], [0, 255]]), .nullableTextArray(["a", nil, ""]), .textArray(["v"]),
        ])
      #expect(try result.int64Array(0, 0) == [.min, 0, .max])
      #expect(try result.int32Array(0, 1) == [.min, .max])
      #expect(try result.boolArray(0, 2) == [true, false])
      #expect(try result.textArray(0, 3) == ["", "ä", "x"])
      #expect(try result.uuidArray(0, 4) == uuids)
      #expect(try result.bytesArray(0, 5) == [[], [0, 255]])
      #expect(try result.nullableTextArray(0, 6) == ["a", nil, ""])
      #expect(try result.textArray(0, 7) == ["v"])
      let empty = try await connection.query(
        "SELECT $1::bigint[], $2::bytea[], $3::text[]",
        [.int64Array([]), .fixedByteaArray(concatenated: [], elementSize: 64), .textArray([])])
      #expect(try empty.int64Array(0, 0).isEmpty && empty.bytesArray(0, 1).isEmpty && empty.textArray(0, 2).isEmpty)
      let error = try await postgresError {
        try await connection.query("SELECT array[[1::int8]]").int64Array(0, 0)
      }
      #expect(error.code == .protocolViolation || error.code == .decoding)
    }
  }

  @Test func `large arrays of bytes from one buffer, and back as a column`() async throws {
    try await withConnection { connection in
      let count = 5000
      let fixed = (0..<count * 72).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let sizes = (0..<count).map { UInt32($0 % 29) }
      let varying = (0..<Int(sizes.reduce(0, +))).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      let result = try await connection.query(
        "SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])",
        [
          .int64Array((0..<Int64(count)).map { $0 }), .fixedByteaArray(concatenated: fixed, elementSize: 72),
          .byteaArray(concatenated: varying, sizes: sizes),
        ])
      #expect(result.rowCount == count)
      #expect(try result.int64Column(0) == (0..<Int64(count)).map { $0 })
      #expect(try result.bytesColumn(1).concatenated == fixed)
      let back = try result.bytesColumn(2)
      #expect(back.concatenated == varying && back.sizes == sizes)
    }
  }

  @Test func `sizes that do not fit the buffer are refused`() async throws {
    try await withConnection { connection in
      for value in [
        PostgresValue.byteaArray(concatenated: [1, 2], sizes: [1]),
        .fixedByteaArray(concatenated: [1, 2, 3], elementSize: 2),
        .fixedByteaArray(concatenated: [1], elementSize: 0), .byteaArray(concatenated: [1], sizes: [.max, .max]),
      ] {
        let error = try await postgresError { try await connection.query("SELECT $1::bytea[]", [value]) }
        #expect(error.code == .invalidParameter && error.message.contains("$1 is of type bytea[]"))
      }
      #expect(try await connection.query("SELECT 1").int32(0, 0) == 1)
    }
  }

  @Test func `wrong types and NULL are errors that name column and type`() async throws {
    try await withConnection { connection in
      let result = try await connection.query(
        "SELECT 'x'::text AS name, NULL::int8 AS nothing, 2^40 AS big, 1::int8 << 40")
      let mismatch = try await postgresError { try result.int64(0, 0) }
      #expect(mismatch.code == .decoding && mismatch.column == "name")
      #expect(mismatch.message.contains("column name of row 0 is of type text and was read as an integer"))
      let null = try await postgresError { try result.int64(0, 1) }
      #expect(null.code == .decoding && null.column == "nothing" && null.message.contains("NULL"))
      #expect(try await postgresError { try result.bytes(0, 2) }.message.contains("double precision"))
      #expect(try await postgresError { try result.int32(0, 3) }.message.contains("1099511627776"))
      #expect(result.column(named: "big") == 2 && result.column(named: "none") == nil)
    }
  }

  @Test func `parameters of wrong type or number are refused before anything is sent`() async throws {
    try await withConnection { connection in
      let kind = try await postgresError { try await connection.query("SELECT $1::uuid", [.int64(1)]) }
      #expect(
        kind.code == .invalidParameter && kind.message.contains("$1 is of type uuid and the value is a 64-bit integer"))
      let number = try await postgresError { try await connection.query("SELECT $1::int8, $2::int8", [.int64(1)]) }
      #expect(number.code == .invalidParameter && number.message.contains("1 parameters are given, 2 are needed"))
      let array = try await postgresError { try await connection.query("SELECT $1::int8[]", [.bytea([1])]) }
      #expect(array.code == .invalidParameter)
      #expect(try await connection.query("SELECT 1").int32(0, 0) == 1)
    }
  }

  @Test(arguments: [
    "", "f81d4fae7dec11d0a76500a0c91e6bf", "f81d4fae-7dec-11d0-a765-00a0c91e6bfg", "----",
    "f81d4fae-7dec11d0-a765-00a0c91e6bf6-",
  ])
  func `malformed uuids are no uuids`(_ text: String) {
    #expect(PostgresUUID(text) == nil)
  }
}
