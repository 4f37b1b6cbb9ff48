import Failpoints
import Foundation
import Testing

// Proves that failpoints act where and when they are told, in processes of their own, and that what arms none is refused.
@Suite("Failpoints act at the pass that they were armed for")
struct FailpointTests {
  @Test func aProcessThatIsNotArmedPassesAll() {
    for point in Failpoint.allCases { point.pass() }
  }

  @Test func oneActsAtItsPassAndNoOtherActs() async {
    await #expect(processExitsWith: .signal(SIGKILL)) {
      try Failpoint.arm("signer.leased=kill@3,signer.signed=kill@9")
      for _ in 1...8 { Failpoint.signerSigned.pass() }
      for _ in 1...2 { Failpoint.signerLeased.pass() }
      guard !Task.isCancelled else { exit(1) }
      Failpoint.signerLeased.pass()
      exit(2)
    }
    await #expect(processExitsWith: .exitCode(7)) {
      try Failpoint.arm("signer.leased=kill@3")
      for _ in 1...2 { Failpoint.signerLeased.pass() }
      for _ in 1...9 { Failpoint.signerSigned.pass() }
      exit(7)
    }
  }

  @Test(arguments: [
    ("signer.nowhere=kill", "does not begin with a failpoint"), ("signer.leased", "does not begin with a failpoint"),
    ("signer.leased=burn", "names no action"), ("signer.leased=kill@0", "does not end with @N"),
    ("signer.leased=kill@x", "does not end with @N"), ("signer.leased=kill@1@2", "does not end with @N"),
  ])
  func whatArmsNoneIsRefused(_ text: String, _ reason: String) {
    let error = #expect(throws: FailpointError.self) { try Failpoint.arm(text) }
    #expect(error?.description.contains(reason) == true)
    #expect(error?.description.contains("'\(text)'") == true)
  }
}
