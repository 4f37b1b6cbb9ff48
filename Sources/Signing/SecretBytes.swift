internal import COpenSSL
internal import CSodium

/// Bytes that must not leak: a private key, a passphrase, a key-encryption key.
///
/// They lie outside the ordinary heap, locked into memory where the system allows it, are left out of core dumps, and
/// are wiped when the value is destroyed. The value cannot be copied or printed; bytes are lent to a closure.
public struct SecretBytes: ~Copyable, @unchecked Sendable {
  // Unchecked: the memory belongs to this value alone, is written only while it is being made, and whoever holds the
  // value may read it from any thread.
  private let base: UnsafeMutableRawPointer
  private let capacity: Int

  /// How many bytes there are.
  public let count: Int

  /// Memory for `capacity` bytes, of which the closure appends as many as it needs.
  /// - Throws: `resource_exhausted` if there is no memory, or what the closure throws.
  public init(
    capacity: Int, initializingWith body: (inout OutputSpan<UInt8>) throws(SigningError) -> Void
  ) throws(SigningError) {
    precondition(capacity >= 0, "a negative number of bytes")
    guard let base = KeyMemory.allocate(capacity) else {
      throw SigningError(.resourceExhausted, "no memory for \(capacity) secret bytes; free some or raise the limit")
    }
    let buffer = UnsafeMutableBufferPointer(start: base.assumingMemoryBound(to: UInt8.self), count: capacity)
    var output = OutputSpan(buffer: buffer, initializedCount: 0)
    do throws(SigningError) {
      try body(&output)
    } catch {
      KeyMemory.free(base, count: capacity)
      throw error
    }
    self.base = base
    self.capacity = capacity
    self.count = output.finalize(for: buffer)
  }

  /// A copy of bytes that someone else holds and wipes.
  public init(copying bytes: Span<UInt8>) throws(SigningError) {
    try self.init(capacity: bytes.count) { output in output.append(copying: bytes) }
  }

  /// `count` bytes from the operating system's generator, by way of OpenSSL's.
  public init(randomCount count: Int) throws(SigningError) {
    try self.init(capacity: count) { (output) throws(SigningError) in
      try output.appendInPlace(count) { (bytes) throws(SigningError) in
        guard RAND_priv_bytes(bytes.baseAddress, Int32(count)) == 1 else {
          throw OpenSSLErrors.libraryFailure("draw random bytes")
        }
      }
    }
  }

  deinit {
    KeyMemory.free(base, count: capacity)
  }

  /// Lends the bytes. The closure must not keep a copy outside of another ``SecretBytes``.
  public borrowing func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // The memory holds `count` initialised bytes until deinit, and the borrow of self outlives the closure.
    let buffer = UnsafeBufferPointer(start: UnsafePointer(base.assumingMemoryBound(to: UInt8.self)), count: count)
    return try body(buffer.span)
  }

  /// Whether both hold the same bytes, in a time that depends only on their counts.
  public borrowing func isEqual(to other: borrowing SecretBytes) -> Bool {
    count == other.count && sodium_memcmp(base, other.base, count) == 0
  }

  /// Another value with the same bytes.
  public borrowing func copy() throws(SigningError) -> SecretBytes {
    try withBytes { (bytes) throws(SigningError) in try SecretBytes(copying: bytes) }
  }
}
