/// Counts what a peer may still send: a window that is opened again, half of it at a time, as what was sent is taken.
struct Inflow: Sendable {
  private let window: Int
  private var allowance: Int
  private var taken = 0

  init(window: Int) {
    self.window = window
    allowance = window
  }

  /// A message of `cost` came; returns whether the peer was allowed to begin it.
  mutating func receive(_ cost: Int) -> Bool {
    defer { allowance -= cost }
    return allowance > 0
  }

  /// `cost` was taken; returns what to grant the peer, if it is time to.
  mutating func take(_ cost: Int) -> Int? {
    taken += cost
    guard taken >= window / 2, taken > 0 else { return nil }
    defer { taken = 0 }
    allowance += taken
    return taken
  }
}
