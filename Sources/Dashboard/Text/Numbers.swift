/// Numbers as the dashboard shows them: short, and the same whatever the locale.
enum Numbers {
  /// With a comma between thousands.
  static func grouped(_ value: Double) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "?" }
    let digits = Array(String(Int64(value.rounded()).magnitude))
    var text = value.rounded() < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { text += "," }
      text.append(digit)
    }
    return text
  }

  /// In at most five characters: `950`, `47.2k`, `1.20M`.
  static func short(_ value: Double) -> String {
    guard value.isFinite, value >= 0 else { return "?" }
    var scaled = value
    for unit in ["", "k", "M", "G", "T"] {
      if scaled < 999.5 { return unit.isEmpty ? small(scaled) : digits(scaled) + unit }
      scaled /= 1000
    }
    return ">999T"
  }

  /// A time that something took, given in seconds: `850us`, `12.3ms`, `4.20s`.
  static func time(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return "?" }
    if seconds < 0.000_999_5 { return digits(seconds * 1_000_000) + "us" }
    if seconds < 0.999_5 { return digits(seconds * 1000) + "ms" }
    return seconds < 600 ? digits(seconds) + "s" : clock(seconds)
  }

  /// A time that something takes or took, for people: `42 s`, `3:05`, `2:03:05`, `4 d`.
  static func clock(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "?" }
    let whole = Int64(seconds)
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60):\(two(whole % 60))" }
    if whole < 86_400 { return "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" }
    return "\(whole / 86_400) d"
  }

  /// A part of a whole, in percent; never 100% before the end.
  static func percent(_ part: Double, of whole: Double) -> String {
    guard whole > 0 else { return "0%" }
    let tenths = Int64((part / whole * 1000).rounded(.down))
    return tenths >= 1000 ? "100%" : "\(tenths / 10).\(tenths % 10)%"
  }

  private static func small(_ value: Double) -> String {
    value < 9.95 && value != value.rounded() ? fixed(value, 1) : "\(Int64(value.rounded()))"
  }

  private static func digits(_ value: Double) -> String {
    value < 9.995 ? fixed(value, 2) : value < 99.95 ? fixed(value, 1) : "\(Int64(value.rounded()))"
  }

  private static func fixed(_ value: Double, _ places: Int) -> String {
    let scale: Int64 = places == 1 ? 10 : 100
    let number = Int64((value * Double(scale)).rounded())
    let fraction = String(number % scale)
    return "\(number / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
  }

  private static func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
