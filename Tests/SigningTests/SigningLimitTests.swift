import Domain
import Signing
import Testing

// Proves that the limit counts what was signed and measures the time it took: exact numbers where a number was asked
// for, at least the time where a time was asked for, and rates that follow from both.
@Suite struct SigningLimitTests {
  @Test(arguments: [SignatureAlgorithm.ecdsaP256, .ed25519, .rsaPSS2048])
  func countsExactly(_ algorithm: SignatureAlgorithm) throws {
    for (threads, each) in [(1, 1), (2, 13), (3, 8), (1, 0)] {
      let limit = try SigningLimit.measure(algorithm, threads: threads, for: .signaturesPerThread(each))
      #expect(limit.signatures == threads * each)
      #expect(limit.algorithm == algorithm)
      #expect(limit.threads == threads)
      #expect(limit.payloadBytes == 192)
      #expect(limit.elapsed >= .zero)
    }
  }

  @Test func lastsAsLongAsAsked() throws {
    let limit = try SigningLimit.measure(.ed25519, threads: 2, payloadBytes: 0, for: .duration(.milliseconds(20)))
    #expect(limit.elapsed >= .milliseconds(20))
    #expect(limit.signatures >= 2 * SigningLimit.groupSize)
    #expect(limit.signatures.isMultiple(of: SigningLimit.groupSize))
    let seconds = limit.elapsed / .seconds(1)
    #expect(abs(limit.signaturesPerSecond * seconds - Double(limit.signatures)) < 0.001)
    let spent = limit.timePerSignature * limit.signatures
    #expect(spent <= limit.elapsed * 2 && spent >= limit.elapsed * 1.9)
  }

  @Test func largePayloadsUseTheOtherLibrary() throws {
    let limit = try SigningLimit.measure(.ed25519, threads: 1, payloadBytes: 1 << 20, for: .signaturesPerThread(2))
    #expect(limit.signatures == 2)
    #expect(limit.payloadBytes == 1 << 20)
  }

  @Test func anImpossibleNumberOfThreadsIsABug() async {
    await #expect(processExitsWith: .failure) {
      _ = try SigningLimit.measure(.ed25519, threads: 0, for: .signaturesPerThread(1))
    }
  }
}
