import Domain
import Glibc
import Testing

@testable import Signing

/// Bytes to look for in the memory of this process, kept in a form in which they cannot be found themselves.
struct MemoryNeedle {
  private static let mask: UInt8 = 0xA5
  private static let length = 24

  /// Masked; most significant byte first.
  private let pieces: [[UInt8]]

  /// Pieces of the secret numbers of a key, in both byte orders.
  init(of key: borrowing PrivateKey) throws {
    pieces = try key.withParts { (layout, bytes) throws(SigningError) in
      let secrets: [Range<Int>] =
        switch layout {
        case .p256(let scalar, _): [scalar]
        case .ed25519(let seed, _): [seed]
        // d, p and q; the rest follows from them.
        case .rsa(let integers, _): Array(integers[2...4])
        }
      return secrets.flatMap { secret in
        // From the middle: the first bytes of a freed block serve the allocator.
        let start = secret.lowerBound + (secret.count - Self.length) / 2
        let forward = (start..<start + Self.length).map { bytes[$0] ^ Self.mask }
        return [forward, forward.reversed()]
      }
    }
  }

  /// A key's needle, after the key has been generated, exported, wrapped, leased, imported and used, and everything
  /// that held it is gone.
  static func afterUse(_ algorithm: SignatureAlgorithm) throws -> MemoryNeedle {
    let key = try PrivateKey.generate(algorithm)
    let kek = try KeyEncryptionKeyTests.makeKEK()
    let wrapped = try kek.wrap(try key.pkcs8(), keyID: KeyEncryptionKeyTests.keyID, algorithm: algorithm)
    let unwrapped = try kek.unwrap(wrapped, keyID: KeyEncryptionKeyTests.keyID, algorithm: algorithm)
    let recipient = try LeaseRecipient()
    let sealed = try recipient.publicKey.seal(unwrapped, for: KeySealTests.lease)
    let leased = try PrivateKey(trustedPKCS8: try recipient.open(sealed.span, for: KeySealTests.lease))
    var signer = try BatchSigner(leased)
    for size in [10, 20_000] {
      let payload = [UInt8](repeating: 1, count: size)
      let signature = try signer.signature(over: payload)
      try #require(try key.publicKey.accepts(signature, over: payload))
    }
    let forImport = try kek.importKey.publicKey.seal(key, for: .keyImport(algorithm))
    let imported = try kek.importKey.open(forImport.span, algorithm: algorithm)
    try #require(try imported.publicKey == key.publicKey)
    return try MemoryNeedle(of: key)
  }

  /// Where a piece lies in any readable and writable memory of this process.
  func occurrences() throws -> [String] {
    var found: [String] = []
    for region in try Self.regions() {
      guard let bytes = Self.read(region) else { continue }
      bytes.withUnsafeBufferPointer { bytes in
        for (index, piece) in pieces.enumerated() {
          for offset in Self.offsets(of: piece, in: bytes) {
            found.append("\(String(region.lowerBound + UInt(offset), radix: 16)) (piece \(index))")
          }
        }
      }
    }
    return found
  }

  private static func offsets(of piece: [UInt8], in bytes: UnsafeBufferPointer<UInt8>) -> [Int] {
    guard bytes.count >= piece.count else { return [] }
    var offsets: [Int] = []
    var next = UnsafeRawPointer(bytes.baseAddress!)
    let end = next + bytes.count - piece.count
    while next <= end, let hit = memchr(next, Int32(piece[0] ^ mask), end - next + 1) {
      let candidate = UnsafeRawPointer(hit)
      let matches = piece.indices.allSatisfy { candidate.load(fromByteOffset: $0, as: UInt8.self) ^ mask == piece[$0] }
      if matches { offsets.append(candidate - UnsafeRawPointer(bytes.baseAddress!)) }
      next = candidate + 1
    }
    return offsets
  }

  private static func regions() throws -> [Range<UInt>] {
    let file = try #require(fopen("/proc/self/maps", "r"))
    defer { fclose(file) }
    var regions: [Range<UInt>] = []
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let fields = text.split(separator: " ")
      guard fields.count >= 2, fields[1].hasPrefix("rw") else { continue }
      let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      guard bounds.count == 2 else { continue }
      regions.append(bounds[0]..<bounds[1])
    }
    return regions
  }

  /// By way of the kernel, so that a region that goes away in between is no crash. Into memory of its own, which is
  /// given back at once, so that a copy is not found by the next scan.
  private static func read(_ region: Range<UInt>) -> Copy? {
    let descriptor = open("/proc/self/mem", O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return Copy(of: region, descriptor)
  }

  private final class Copy {
    private let memory: UnsafeMutableRawPointer
    private let capacity: Int
    private var count = 0

    init?(of region: Range<UInt>, _ descriptor: CInt) {
      capacity = region.count
      guard let memory = mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        memory != MAP_FAILED
      else { return nil }
      self.memory = memory
      while count < capacity {
        let got = pread(descriptor, memory + count, capacity - count, off_t(region.lowerBound) + off_t(count))
        if got <= 0 { break }
        count += got
      }
    }

    deinit {
      munmap(memory, capacity)
    }

    func withUnsafeBufferPointer(_ body: (UnsafeBufferPointer<UInt8>) -> Void) {
      body(UnsafeBufferPointer(start: UnsafePointer(memory.assumingMemoryBound(to: UInt8.self)), count: count))
    }
  }
}
