/// What came of one fault.
struct ChaosVerdict: Encodable, Sendable {
  var fault: String
  var layer: ChaosFault.Layer
  /// How often the fault came.
  var hits = 0
  /// What was seen of it, and how often.
  var effects: [String: Int] = [:]
  /// Every warning in the logs, and how often.
  var warnings: [String: Int] = [:]
  var signed = 0
  var verified = 0
  /// What was told or stored before, and is not stored: allowed only where commits may be lost.
  var lost: [String] = []
  /// What did not hold.
  var violations: [String] = []
  var seconds = 0.0

  init(fault: String, layer: ChaosFault.Layer) {
    self.fault = fault
    self.layer = layer
  }
}

extension ChaosVerdict: TableRow {
  static let columns = [
    TableColumn("FAULT"), TableColumn("HITS", isNumber: true), TableColumn("SIGNED", isNumber: true),
    TableColumn("VIOLATIONS", isNumber: true), TableColumn("TIME", isNumber: true), TableColumn("SEEN"),
  ]

  var resourceName: String { "fault/\(fault)" }

  var cells: [String] {
    [
      fault, Int64(hits).grouped, Int64(signed).grouped, Int64(violations.count).grouped, seconds.text(digits: 1),
      effects.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "; ")
        + (lost.isEmpty ? "" : "; lost \(lost.count)"),
    ]
  }
}

/// What came of all faults that were tried.
struct ChaosReport: Encodable {
  var records: Int
  var faults: Int
  var hits: Int
  var violations: Int
  /// Faults that could not be tried here, and why.
  var skipped: [String: String]
  var seconds: Double
  var verdicts: [ChaosVerdict]

  init(_ verdicts: [ChaosVerdict], skipped: [String: String], records: Int, seconds: Double) {
    self.records = records
    self.verdicts = verdicts
    self.skipped = skipped
    self.seconds = seconds
    faults = verdicts.count
    hits = verdicts.reduce(0) { $0 + $1.hits }
    violations = verdicts.reduce(0) { $0 + $1.violations.count }
  }
}
