import Telemetry

extension MetricName {
  /// Whether Prometheus takes the name (https://prometheus.io/docs/concepts/data_model/) and Logger its length.
  var isValid: Bool {
    (1...128).contains(rawValue.utf8.count)
      && rawValue.utf8.enumerated().allSatisfy { index, byte in
        byte.isASCIIWord || byte == UInt8(ascii: ":") || index > 0 && byte.isASCIIDigit
      }
  }
}

extension MetricLabels {
  /// Whether Prometheus takes the names, and Logger the lengths; NUL cannot be sent.
  var isValid: Bool {
    count <= 8
      && allSatisfy { name, value in
        (1...64).contains(name.utf8.count) && !name.hasPrefix("__") && value.utf8.count <= 256
          && !value.utf8.contains(0)
          && name.utf8.enumerated().allSatisfy { index, byte in byte.isASCIIWord || index > 0 && byte.isASCIIDigit }
      }
  }
}

extension UInt8 {
  fileprivate var isASCIIDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

  /// A letter or an underscore.
  fileprivate var isASCIIWord: Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) || self == UInt8(ascii: "_")
  }
}
