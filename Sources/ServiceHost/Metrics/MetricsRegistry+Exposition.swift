import Synchronization
import Telemetry

extension MetricsRegistry {
  /// All values, and `others`, in Prometheus's text format, version 0.0.4
  /// (https://prometheus.io/docs/instrumenting/exposition_formats/).
  public func exposition(with others: [MetricSample] = []) -> String {
    let help = state.withLock { $0.help }
    var samples = snapshot() + meters.withLock { $0 }.flatMap(\.samples) + others
    samples.order()
    var text = ""
    var family: MetricName?
    for sample in samples {
      if sample.name != family {
        family = sample.name
        let help = help[sample.name] ?? sample.name.inWords
        text += "# HELP \(sample.name.rawValue) \(help.escaped(quotes: false))\n"
        text += "# TYPE \(sample.name.rawValue) \(sample.kind)\n"
      }
      text += sample.lines
    }
    return text
  }
}

extension MetricSample {
  /// The upper ends of the buckets of a histogram, in seconds; Prometheus's usual ones and finer ones below. A time is counted
  /// to the accuracy of the histogram.
  private static let bounds = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ]

  fileprivate var lines: String {
    guard let histogram else { return line(value) }
    let buckets = Self.bounds.map { bound in
      line(Double(histogram.count(upTo: UInt64(bound * 1e6))), suffix: "_bucket", le: "\(bound)")
    }
    return buckets.joined() + line(Double(histogram.count), suffix: "_bucket", le: "+Inf")
      + line(Double(histogram.count), suffix: "_count") + line(histogram.sum / 1e6, suffix: "_sum")
  }

  private func line(_ value: Double, suffix: String = "", le: String? = nil) -> String {
    let labels = (le.map { [(name: "le", value: $0)] } ?? []) + sortedLabels
    let texts = labels.map { #"\#($0.name)="\#($0.value.escaped(quotes: true))""# }
    return name.rawValue + suffix + (texts.isEmpty ? "" : "{" + texts.joined(separator: ",") + "}")
      + " \(value.shortest)\n"
  }
}

extension MetricName {
  /// The name as a sentence: `chancery_records_signed_total` is "Records signed".
  fileprivate var inWords: String {
    var words = rawValue.split(separator: "_")
    if words.first == "chancery" { words.removeFirst() }
    if words.last == "total" { words.removeLast() }
    let sentence = words.joined(separator: " ")
    return sentence.prefix(1).uppercased() + sentence.dropFirst()
  }
}

extension String {
  fileprivate func escaped(quotes: Bool) -> String {
    var text = ""
    for scalar in unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\"" where quotes: text += "\\\""
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}

extension Double {
  /// The shortest text that is read as the same number, without a fraction for whole numbers.
  fileprivate var shortest: String {
    if isNaN { return "NaN" }
    if isInfinite { return self > 0 ? "+Inf" : "-Inf" }
    return Int64(exactly: self).map(String.init) ?? description
  }
}
