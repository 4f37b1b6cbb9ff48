internal import CSodium
import Domain
import Glibc
import Signing
import Testing

// Proves, in processes of their own, that core dumps are off: both limits are 0, the
// kernel says that the process may not be dumped, and keys work all the same.
@Suite struct ProcessHardeningTests {
  @Test func coreDumpsAreOff() async {
    await #expect(processExitsWith: .success) {
      try #require(chancery_may_be_dumped() == 1)
      try #require(!ProcessHardening.coreDumpsAreDisabled)
      try ProcessHardening.disableCoreDumps()
      #expect(ProcessHardening.coreDumpsAreDisabled)
      #expect(chancery_may_be_dumped() == 0)
      var limit = rlimit()
      #expect(getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0)
      #expect(limit.rlim_cur == 0)
      #expect(limit.rlim_max == 0)
      try ProcessHardening.disableCoreDumps()
    }
  }

  @Test func keysWorkAfterwards() async {
    await #expect(processExitsWith: .success) {
      try ProcessHardening.disableCoreDumps()
      let key = try TestKeys.key(.ecdsaP256)
      var signer = try BatchSigner(key)
      #expect(try key.publicKey.accepts(try signer.signature(over: [1]), over: [1]))
    }
  }
}
