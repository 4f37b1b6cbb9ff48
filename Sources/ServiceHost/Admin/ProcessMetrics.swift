import Glibc
import Telemetry

/// What the system knows of the process, under the names that Prometheus gives to it
/// (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
enum ProcessMetrics {
  static let descriptions: [MetricDescription] = [
    MetricDescription("process_cpu_seconds_total", "CPU time spent by the process, in user and system mode"),
    MetricDescription("process_open_fds", "Open file descriptors"),
    MetricDescription("process_max_fds", "The most file descriptors that the process may open"),
    MetricDescription("process_virtual_memory_bytes", "Virtual memory of the process"),
    MetricDescription("process_virtual_memory_max_bytes", "The most virtual memory that the process may have"),
    MetricDescription("process_resident_memory_bytes", "Resident memory of the process"),
    MetricDescription("process_threads", "Threads of the process"),
    MetricDescription("process_start_time_seconds", "When the process started, since the Unix epoch"),
  ]

  /// The values now, as far as the system tells them.
  static var samples: [MetricSample] {
    var values: [(name: MetricName, value: Double?)] = [
      ("process_open_fds", ProcessStatus.openDescriptors), ("process_max_fds", limit(RLIMIT_NOFILE)),
      ("process_virtual_memory_max_bytes", limit(RLIMIT_AS)),
    ]
    if let status = ProcessStatus.read() {
      values += [
        ("process_virtual_memory_bytes", status.virtualBytes), ("process_resident_memory_bytes", status.residentBytes),
        ("process_threads", status.threads), ("process_start_time_seconds", status.startTime),
        ("process_cpu_seconds_total", status.cpuSeconds),
      ]
    }
    return values.compactMap { name, value in
      value.map { value in
        let kind = name.rawValue.hasSuffix("_total") ? MetricSample.Kind.counter : .gauge
        return MetricSample(name: name, labels: [:], kind: kind, value: value)
      }
    }
  }

  private static func limit(_ resource: __rlimit_resource) -> Double? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else { return nil }
    return Double(limit.rlim_cur)
  }
}

/// A line of /proc/self/stat (proc(5)).
private struct ProcessStatus {
  let cpuSeconds: Double
  let threads: Double
  let residentBytes: Double
  let virtualBytes: Double
  /// Since the Unix epoch; nil if it is not known when the system started.
  let startTime: Double?

  static func read() -> ProcessStatus? {
    // The name of the program, in parentheses, may have spaces.
    guard let fields = text(of: "/proc/self/stat")?.split(separator: ")").last?.split(separator: " "),
      fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
      let threads = Double(fields[17]), let start = Double(fields[19]), let virtual = Double(fields[20]),
      let resident = Double(fields[21])
    else { return nil }
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    let line = text(of: "/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
    let boot = line.flatMap { Double($0.dropFirst("btime ".count)) }
    return ProcessStatus(
      cpuSeconds: (user + system) / ticks, threads: threads,
      residentBytes: resident * Double(sysconf(Int32(_SC_PAGESIZE))), virtualBytes: virtual,
      startTime: boot.map { $0 + start / ticks })
  }

  /// How many descriptors are open, without the one that looks.
  static var openDescriptors: Double? {
    guard let directory = opendir("/proc/self/fd") else { return nil }
    defer { closedir(directory) }
    // Two entries are the directory itself and its parent.
    var count = -3
    while readdir(directory) != nil { count += 1 }
    return Double(count)
  }

  private static func text(of path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }
}
