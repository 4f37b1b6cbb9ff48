import TestWorld
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

  @Test func aWaitEndsInTimeAndLosesNoRing() throws {
    try VirtualWorld.run { world in
      let bell = Doorbell()
      let limit = world.clock.now.advanced(by: .seconds(5))
      await bell.wait(until: limit, world.clock)
      #expect(world.clock.elapsed == .seconds(5))
      // It is too late already, and has rung before.
      await bell.wait(until: limit, world.clock)
      bell.ring()
      await bell.wait(until: limit.advanced(by: .seconds(5)), world.clock)
      #expect(world.clock.elapsed == .seconds(5))
      async let waiting: Void = bell.wait(until: limit.advanced(by: .seconds(5)), world.clock)
      try await world.clock.sleep(for: .seconds(1))
      bell.ring()
      await waiting
      #expect(world.clock.elapsed == .seconds(6))
    }
  }

  @Test func durationsInFieldsAreRoundedDown() {
    #expect(Duration.microseconds(1999).inMilliseconds == 1)
    #expect(Duration.seconds(3).inMilliseconds == 3000)
    #expect(abs(Duration.milliseconds(1500).inSeconds - 1.5) < 1e-12)
  }
}
