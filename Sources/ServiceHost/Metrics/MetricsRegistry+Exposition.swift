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
      if sample.family != family {
        family = sample.family
        let help = help[sample.family] ?? sample.family.inWords
        text += "# HELP \(sample.family.rawValue) \(help.escaped(quotes: false))\n"
        text += "# TYPE \(sample.family.rawValue) \(sample.kind)\n"
      }
      text += sample.name.rawValue
      if !sample.labels.isEmpty {
        let labels = sample.sortedLabels.map { #"\#($0.name)="\#($0.value.escaped(quotes: true))""# }
        text += "{" + labels.joined(separator: ",") + "}"
      }
      text += " \(sample.value.shortest)\n"
    }
    return text
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
