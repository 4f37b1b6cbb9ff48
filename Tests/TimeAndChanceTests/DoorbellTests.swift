import Testing
import TimeAndChance

/// A doorbell loses no ring, and lets a cancelled task go.
@Suite struct DoorbellTests {
  @Test func ringsBeforeAWaitCountAsOne() async {
    let bell = Doorbell()
    bell.ring()
    bell.ring()
    await bell.wait()
    let waiting = Task { await bell.wait() }
    bell.ring()
    await waiting.value
  }

  @Test func aCancelledWaitEnds() async {
    let bell = Doorbell()
    let waiting = Task { await bell.wait() }
    waiting.cancel()
    await waiting.value
  }

  @Test func durationsInFieldsAreRoundedDown() {
    #expect(Duration.microseconds(1999).inMilliseconds == 1)
    #expect(Duration.seconds(3).inMilliseconds == 3000)
    #expect(abs(Duration.milliseconds(1500).inSeconds - 1.5) < 1e-12)
  }
}
