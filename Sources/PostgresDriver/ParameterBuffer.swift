/// Where the parameters of a statement are put in binary form before libpq copies them, reused from one statement to the
/// next.
///
/// Values are written through a raw pointer: a batch carries thousands of array elements of some ten bytes, for which the
/// checks of an array append would cost more than the copy.
struct ParameterBuffer: ~Copyable {
  /// Above this, the memory is given back after use, so that one large statement does not stay in memory for ever.
  private static let keptCapacity = 1 << 20
  /// The server refuses larger messages and fields.
  static let maximumBytes = 1 << 30

  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  init() {
    capacity = 4096
    memory = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit {
    memory.deallocate()
  }

  /// Valid until the next write.
  var base: UnsafeMutableRawPointer { memory }

  /// The bytes written since `offset`, valid until the next write.
  func bytes(from offset: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: memory + offset, count: count - offset)
  }

  /// Forgets what was written, and gives back memory that a large statement needed.
  mutating func clear() {
    count = 0
    guard capacity > Self.keptCapacity else { return }
    memory.deallocate()
    capacity = 4096
    memory = .allocate(byteCount: capacity, alignment: 16)
  }

  /// Makes room for so many bytes and returns where to write them; all of them must be written.
  mutating func extend(_ bytes: Int) -> UnsafeMutableRawPointer {
    if count + bytes > capacity {
      capacity = max(capacity * 2, count + bytes)
      let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
      larger.copyMemory(from: memory, byteCount: count)
      memory.deallocate()
      memory = larger
    }
    defer { count += bytes }
    return memory + count
  }

  mutating func append(_ value: some FixedWidthInteger) {
    Self.store(value, at: extend(value.bitWidth / 8))
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    extend(bytes.count).copyMemory(from: base, byteCount: bytes.count)
  }

  mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  mutating func append(_ uuid: PostgresUUID) {
    let target = extend(16)
    Self.store(uuid.high, at: target)
    Self.store(uuid.low, at: target + 8)
  }

  mutating func append(_ interval: PostgresInterval) {
    let target = extend(16)
    Self.store(interval.microseconds, at: target)
    Self.store(interval.days, at: target + 8)
    Self.store(interval.months, at: target + 12)
  }

  /// Network byte order, without alignment.
  @inline(__always)
  static func store(_ value: some FixedWidthInteger, at target: UnsafeMutableRawPointer) {
    target.storeBytes(of: value.bigEndian, as: type(of: value).self)
  }
}
