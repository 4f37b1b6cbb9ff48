public import Domain
import Glibc

extension Timestamp {
  /// The system's wall clock (`CLOCK_REALTIME`).
  public static func now() -> Timestamp {
    var time = timespec()
    // Cannot fail: the clock exists and the pointer is valid.
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(rawValue: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  /// The time in UTC as RFC 3339 writes it, with microseconds: `2026-11-23T15:14:47.012345Z`.
  public var rfc3339: String {
    let (day, time) = rawValue.flooredQuotient(by: 86_400_000_000)
    let (year, month, dayOfMonth) = Self.civil(day)
    let seconds = time / 1_000_000
    return "\(year.padded(4))-\(month.padded(2))-\(dayOfMonth.padded(2))T\((seconds / 3600).padded(2)):"
      + "\((seconds / 60 % 60).padded(2)):\((seconds % 60).padded(2)).\((time % 1_000_000).padded(6))Z"
  }

  /// The date of a day since 1970 in the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms",
  /// `civil_from_days`): years begin in March, so that the leap day is the last of its year.
  private static func civil(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let (era, dayOfEra) = (day + 719_468).flooredQuotient(by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }
}

extension Int64 {
  /// Quotient and remainder of a division that rounds down, so that the remainder is never negative.
  fileprivate func flooredQuotient(by divisor: Int64) -> (Int64, Int64) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  fileprivate func padded(_ width: Int) -> String {
    let digits = String(self)
    return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
  }
}
