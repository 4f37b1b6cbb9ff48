/// Turns the parameters of a statement into the vectors that libpq takes, checking each against the type that the server
/// has given it.
struct ParameterEncoder: ~Copyable {
  private var buffer = ParameterBuffer()
  /// Where each parameter begins in the buffer; -1 for NULL.
  private var offsets: [Int] = []
  private var pointers: [UnsafePointer<CChar>?] = []
  private var lengths: [Int32] = []
  private var formats: [Int32] = []

  init() {}

  /// Encodes the parameters and lends the vectors to `body`: values, lengths and formats, as `PQsendQueryPrepared` wants.
  mutating func withEncoded<R>(
    _ values: [PostgresValue], types: [PostgresType], for statement: PostgresStatement,
    _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> R
  ) throws(PostgresError) -> R {
    guard values.count == types.count else {
      throw PostgresError(
        .invalidParameter, "\(statement): \(values.count) parameters are given, \(types.count) are needed")
    }
    if values.isEmpty { return body(nil, nil, nil) }
    defer { buffer.clear() }
    offsets.removeAll(keepingCapacity: true)
    pointers.removeAll(keepingCapacity: true)
    lengths.removeAll(keepingCapacity: true)
    formats.removeAll(keepingCapacity: true)

    for (index, value) in values.enumerated() {
      let start = buffer.count
      var isText = false
      if let problem = buffer.encode(value, as: types[index], isText: &isText) {
        throw PostgresError(
          .invalidParameter,
          "\(statement): parameter $\(index + 1) is of type \(types[index]) and \(problem)")
      }
      guard buffer.count <= ParameterBuffer.maximumBytes else {
        throw PostgresError(
          .invalidParameter, "\(statement): the parameters exceed 1 GiB with $\(index + 1): send less at a time")
      }
      if case .null = value { offsets.append(-1) } else { offsets.append(start) }
      lengths.append(Int32(truncatingIfNeeded: buffer.count - start))
      formats.append(isText ? 0 : 1)
    }
    // Only now does the buffer stay where it is.
    let base = UnsafePointer(buffer.base.assumingMemoryBound(to: CChar.self))
    for offset in offsets { pointers.append(offset < 0 ? nil : base + offset) }
    return body(pointers, lengths, formats)
  }
}

extension ParameterBuffer {
  /// Appends one value in the form that the type wants. Returns what is wrong with it, completing "is of type T and …".
  fileprivate mutating func encode(_ value: PostgresValue, as type: PostgresType, isText: inout Bool) -> String? {
    switch (value, type) {
    case (.null, _): break
    case (.bool(let value), .bool): append(UInt8(value ? 1 : 0))
    case (.int16(let value), _): return encodeInteger(Int64(value), as: type, kind: "a 16-bit integer")
    case (.int32(let value), _): return encodeInteger(Int64(value), as: type, kind: "a 32-bit integer")
    case (.int64(let value), _): return encodeInteger(value, as: type, kind: "a 64-bit integer")
    case (.double(let value), .float8): append(value.bitPattern)
    case (.double(let value), .float4): append(Float(value).bitPattern)
    case (.text(let value), _): return encodeText(value, as: type, isText: &isText)
    case (.bytea(let value), .bytea): append(value)
    case (.uuid(let value), .uuid): append(value)
    case (.timestamp(let value), .timestamptz): append(value.microsecondsSince2000)
    case (.interval(let value), .interval): append(value)
    case (.duration(let value), .interval):
      guard let interval = PostgresInterval(value) else { return "the duration \(value) is too long for it" }
      append(interval)
    case (.boolArray(let values), .boolArray): appendArray(values)
    case (.int32Array(let values), .int4Array): appendArray(values)
    case (.int64Array(let values), .int8Array): appendArray(values)
    case (.textArray(let values), .textArray): return encodeTexts(values, element: .text)
    case (.textArray(let values), .varcharArray): return encodeTexts(values, element: .varchar)
    case (.nullableTextArray(let values), .textArray): return encodeTexts(values, element: .text)
    case (.nullableTextArray(let values), .varcharArray): return encodeTexts(values, element: .varchar)
    case (.uuidArray(let values), .uuidArray): appendArray(values)
    case (.byteaArray(let values), .byteaArray): appendArray(values)
    case (.concatenatedByteaArray(let bytes, let sizes), .byteaArray):
      let total = sizes.reduce(0) { $0 + Int($1) }
      guard total == bytes.count else { return "the sizes add up to \(total), but there are \(bytes.count) bytes" }
      appendByteaArray(bytes, sizes: sizes)
    case (.fixedByteaArray(let bytes, let elementSize), .byteaArray):
      guard elementSize > 0, bytes.count.isMultiple(of: elementSize) else {
        return "the element size \(elementSize) does not divide the \(bytes.count) bytes"
      }
      appendByteaArray(bytes, elementSize: elementSize)
    default: return "the value is \(value.kind): pass another value or cast the parameter in the statement"
    }
    return nil
  }

  private mutating func encodeInteger(_ value: Int64, as type: PostgresType, kind: String) -> String? {
    switch type {
    case .int8: append(value)
    case .int4:
      guard let value = Int32(exactly: value) else { return "the value \(value) is out of its range" }
      append(value)
    case .int2:
      guard let value = Int16(exactly: value) else { return "the value \(value) is out of its range" }
      append(value)
    case .oid:
      guard let value = UInt32(exactly: value) else { return "the value \(value) is out of its range" }
      append(value)
    default: return "the value is \(kind): pass another value or cast the parameter in the statement"
    }
    return nil
  }

  private mutating func encodeText(_ value: String, as type: PostgresType, isText: inout Bool) -> String? {
    if type == .bytea { return "the value is a text: pass bytes" }
    if value.utf8.contains(0) { return "the text holds a NUL character, which PostgreSQL cannot store" }
    if type == .jsonb { append(UInt8(1)) }  // the version of the binary form
    append(value)
    if !type.isTextual && type != .jsonb {
      // libpq takes a parameter in text form as a C string.
      append(UInt8(0))
      isText = true
    }
    return nil
  }

  private mutating func encodeTexts(_ values: [String?], element: PostgresType) -> String? {
    if let index = values.firstIndex(where: { $0?.utf8.contains(0) ?? false }) {
      return "element \(index) holds a NUL character, which PostgreSQL cannot store"
    }
    appendArray(values, type: element)
    return nil
  }
}
