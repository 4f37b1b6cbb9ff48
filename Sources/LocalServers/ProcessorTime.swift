internal import Foundation

/// How much of the processors a process has used.
public enum ProcessorTime {
  /// The time that a process and its children have taken so far, in user and kernel mode, also of children that have ended and
  /// were waited for; nil for a process that does not run. To the hundredth of a second, as Linux counts (proc(5)).
  public static func used(by pid: Int32) -> Duration? {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
    // The name of the program, in parentheses, may have spaces; the times are the fields 14 to 17.
    let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
    guard fields.count > 15 else { return nil }
    let ticks = fields[12...15].reduce(0) { $0 + (Int64($1) ?? 0) }
    let own = Duration.milliseconds(1000 * ticks / Int64(sysconf(Int32(_SC_CLK_TCK))))
    let children = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return children.split(separator: " ").compactMap { Int32($0) }.reduce(own) { $0 + (used(by: $1) ?? .zero) }
  }
}
