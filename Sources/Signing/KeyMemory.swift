internal import COpenSSL
internal import CSodium

/// Where secrets live: OpenSSL's secure heap, one arena with guard pages that is locked into memory and left out of
/// core dumps. OpenSSL keeps the numbers of private keys in it as well.
///
/// libsodium's `sodium_malloc` protects each allocation for itself but takes 27 microseconds, longer than a signature;
/// this takes less than one. It remains as the way out when the arena is half full, since OpenSSL itself has none.
enum KeyMemory {
  /// One mebibyte: some hundred private keys. Locking it fits the usual limit of 8 MiB.
  static let arenaBytes = 1 << 20

  /// The smallest block the arena hands out.
  private static let minimumBlockBytes = 32

  /// Larger secrets, which are rare, do not go into the arena.
  private static let maximumArenaBlockBytes = 8192

  private enum Arena {
    case locked
    case unlocked
    case none
  }

  /// Makes the arena once per process. There is none if the system gives no address space for it. That it cannot be
  /// locked (`RLIMIT_MEMLOCK`) is tolerated: the bytes are still wiped and kept out of core dumps.
  private static let arena: Arena = {
    // Someone else's arena, made before us, serves as well, but says nothing about its lock.
    if CRYPTO_secure_malloc_initialized() == 1 { return .unlocked }
    switch CRYPTO_secure_malloc_init(arenaBytes, minimumBlockBytes) {
    case 0: return .none
    case 1: return .locked
    default: return .unlocked
    }
  }()

  /// Whether the arena was locked into memory.
  static var isLocked: Bool { arena == .locked }

  /// Zeroed memory, or nil if there is none left.
  static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
    Sodium.prepare()
    if arena != .none, count <= maximumArenaBlockBytes, CRYPTO_secure_used() < arenaBytes / 2,
      let block = CRYPTO_secure_zalloc(max(count, 1), #fileID, #line)
    {
      return block
    }
    OpenSSLErrors.discard()
    guard let block = sodium_malloc(count) else { return nil }
    sodium_memzero(block, count)
    return block
  }

  /// Wipes and gives back what ``allocate(_:)`` returned for `count` bytes.
  static func free(_ block: UnsafeMutableRawPointer, count: Int) {
    if CRYPTO_secure_allocated(block) == 1 {
      CRYPTO_secure_clear_free(block, max(count, 1), #fileID, #line)
    } else {
      sodium_free(block)
    }
  }
}
