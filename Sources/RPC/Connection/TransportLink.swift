import TimeAndChance

/// What either end of a connection has for its transport, and what the transport has been told.
struct TransportLink {
  var outbound = Outbound()
  /// Whether to close once everything is written.
  var closes = false
  private var announced = TransportDemand()
  /// Whether the transport was woken and has not come yet.
  private var isAwake = false
  /// Whether the transport knows that there are bytes, and comes for them by itself.
  private var owesTake = false

  /// Whether the transport must be woken for what has changed; the caller then must.
  mutating func mustWake(for demand: TransportDemand) -> Bool {
    guard !isAwake, demand != announced || (outbound.hasBytes && !owesTake) else { return false }
    isAwake = true
    owesTake = outbound.hasBytes
    return true
  }

  /// The transport came to see what is wanted.
  mutating func announce(_ demand: TransportDemand) -> TransportDemand {
    isAwake = false
    owesTake = outbound.hasBytes
    announced = demand
    return demand
  }

  /// The transport came for the bytes.
  mutating func take(_ buffer: inout [UInt8], clock: any ServiceClock, _ deferred: inout Deferred) {
    outbound.take(&buffer, clock: clock, &deferred)
    owesTake = outbound.hasBytes
  }
}
