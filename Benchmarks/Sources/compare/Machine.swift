import Foundation

/// What everything ran on.
struct Machine: Encodable {
  var processor: String
  var cores: Int
  /// Tasks that ran or waited to run in the last minute, when the comparison began: those of others.
  var loadAverage: Double

  enum CodingKeys: String, CodingKey {
    case processor, cores
    case loadAverage = "load_average"
  }

  /// This machine, from /proc.
  init() {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
    processor =
      line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
    cores = ProcessInfo.processInfo.activeProcessorCount
    let load = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
    loadAverage = load.split(separator: " ").first.flatMap { Double($0) } ?? 0
  }
}
