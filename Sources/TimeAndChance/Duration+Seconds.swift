extension Duration {
  /// The duration in seconds, for metrics and people.
  public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }

  /// The duration in whole milliseconds, rounded down, for fields named `…_ms`.
  public var inMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
