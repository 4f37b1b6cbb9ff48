import RPCTestSupport
import Testing

@testable import RPC

/// The transport is woken for every change that it does not know of, and not twice for one.
@Suite struct TransportLinkTests {
  private let clock = ManualClock()
  private let stopped: TransportDemand = {
    var demand = TransportDemand()
    demand.reads = false
    return demand
  }()

  private func take(_ link: inout TransportLink) -> Int {
    var buffer: [UInt8] = []
    var deferred = Deferred()
    link.take(&buffer, clock: clock, &deferred)
    return buffer.count
  }

  @Test func nothingToTell() {
    var link = TransportLink()
    let wakes = link.mustWake(for: TransportDemand())
    #expect(!wakes)
  }

  @Test func bytesWakeOnceUntilTaken() {
    var link = TransportLink()
    link.outbound.appendCancel(id: StreamID(1))
    var wakes = [link.mustWake(for: TransportDemand()), link.mustWake(for: TransportDemand())]
    #expect(wakes == [true, false])
    // The transport came and could not write: it comes back by itself.
    _ = link.announce(TransportDemand())
    link.outbound.appendCancel(id: StreamID(3))
    wakes = [link.mustWake(for: TransportDemand())]
    #expect(wakes == [false])
    #expect(take(&link) == 20)
    wakes = [link.mustWake(for: TransportDemand())]
    #expect(wakes == [false])
    link.outbound.appendCancel(id: StreamID(5))
    wakes = [link.mustWake(for: TransportDemand()), link.mustWake(for: TransportDemand())]
    #expect(wakes == [true, false])
  }

  /// Bytes that come between `demand` and the last take are not lost: the transport takes until there are none.
  @Test func bytesThatComeWhileTheTransportTakes() {
    var link = TransportLink()
    link.outbound.appendCancel(id: StreamID(1))
    _ = link.mustWake(for: TransportDemand())
    _ = link.announce(TransportDemand())
    #expect(take(&link) == 10)
    link.outbound.appendCancel(id: StreamID(3))
    let wakes = link.mustWake(for: TransportDemand())
    #expect(wakes, "the transport may have looked already")
    #expect(take(&link) == 10)
  }

  @Test func demandsWakeUntilAnnounced() {
    var link = TransportLink()
    var wakes = [link.mustWake(for: stopped), link.mustWake(for: stopped), link.mustWake(for: TransportDemand())]
    #expect(wakes == [true, false, false])
    #expect(link.announce(TransportDemand()) == TransportDemand())
    wakes = [link.mustWake(for: TransportDemand()), link.mustWake(for: stopped)]
    #expect(wakes == [false, true])
    #expect(link.announce(stopped) == stopped)
    wakes = [link.mustWake(for: stopped), link.mustWake(for: TransportDemand())]
    #expect(wakes == [false, true])
  }
}
