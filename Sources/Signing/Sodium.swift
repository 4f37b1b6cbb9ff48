internal import CSodium

/// libsodium must be initialised once before its first use; doing so is thread safe and cannot fail twice differently.
enum Sodium {
  private static let isReady = sodium_init() >= 0

  /// Call before any libsodium function that draws randomness, allocates or picks an implementation for this processor.
  static func prepare() {
    precondition(isReady, "libsodium could not be initialised: no source of randomness")
  }
}
