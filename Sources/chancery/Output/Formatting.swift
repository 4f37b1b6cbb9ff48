import FoundationEssentials

extension Date {
  /// A time of the protocol: microseconds since the Unix epoch, 0 for none.
  init?(microseconds: Int64) {
    guard microseconds != 0 else { return nil }
    self.init(timeIntervalSince1970: Double(microseconds) / 1_000_000)
  }

  /// RFC 3339 in UTC, with milliseconds.
  var text: String {
    formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
  }
}

extension Int64 {
  /// With a comma between thousands.
  var grouped: String {
    let digits = String(magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return self < 0 ? "-" + text : text
  }
}

extension UInt64 {
  /// With a comma between thousands.
  var grouped: String { Int64(clamping: self).grouped }
}

extension Double {
  /// With `digits` digits after the point, whatever the locale.
  func text(digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (magnitude * scale).rounded()
    guard scaled.isFinite, scaled < 1e18 else { return "\(self)" }
    let number = Int64(scaled)
    let whole = number / Int64(scale)
    let fraction = digits == 0 ? "" : "." + String(number % Int64(scale)).leftPadded(to: digits)
    return (self < 0 && number != 0 ? "-" : "") + String(whole) + fraction
  }
}

extension String {
  fileprivate func leftPadded(to width: Int) -> String { String(repeating: "0", count: max(0, width - count)) + self }
}

extension Sequence<UInt8> {
  /// Two lower-case hexadecimal digits for each byte.
  var hexText: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
