public import Telemetry

/// What a service has told of its numbers.
public struct ServiceReading: Sendable, Hashable {
  /// Its kind, such as `signer`.
  public var kind: String
  /// For people; empty for what past instances of this kind have left.
  public var name: String
  /// One start of the service; empty for what past instances have left.
  public var incarnation: String
  /// Since its last report.
  public var age: Duration
  /// Whether its stream is open.
  public var isConnected: Bool
  /// Its numbers.
  public var series: [SeriesReading]

  /// What a service has told.
  public init(
    kind: String, name: String, incarnation: String, age: Duration, isConnected: Bool, series: [SeriesReading]
  ) {
    (self.kind, self.name, self.incarnation) = (kind, name, incarnation)
    (self.age, self.isConnected, self.series) = (age, isConnected, series)
  }
}

/// One number of a service.
public struct SeriesReading: Sendable, Hashable {
  /// Such as `chancery_records_signed_total`.
  public var name: String
  /// Particulars.
  public var labels: [String: String]
  /// Whether it only rises within an incarnation.
  public var isCounter: Bool
  /// Its value; of a histogram nothing.
  public var value: Double
  /// The times of a histogram, in microseconds; nil for others.
  public var times: HDRHistogram?

  /// One number.
  public init(_ name: String, _ labels: [String: String] = [:], isCounter: Bool = true, value: Double) {
    (self.name, self.labels, self.isCounter, self.value) = (name, labels, isCounter, value)
  }

  /// Times.
  public init(_ name: String, _ labels: [String: String] = [:], times: HDRHistogram) {
    (self.name, self.labels, self.isCounter, self.value, self.times) = (name, labels, false, 0, times)
  }
}

/// Something that a service has reported.
public struct EventReading: Sendable, Hashable {
  /// When, for people.
  public var time: String
  /// How serious.
  public var level: Level
  /// The name of the service.
  public var reporter: String
  /// What happened, such as `batch.refused`.
  public var name: String
  /// For people.
  public var message: String

  /// How serious an event is.
  public enum Level: Sendable, Hashable {
    /// The normal course of things, and what is for finding faults.
    case info
    /// Something to look at.
    case warning
    /// Something failed.
    case error
  }

  /// An event.
  public init(time: String, level: Level, reporter: String, name: String, message: String) {
    (self.time, self.level, self.reporter) = (time, level, reporter)
    (self.name, self.message) = (name, message)
  }
}

/// A job, as the coordinator knows it.
public struct JobReading: Sendable, Hashable {
  /// Its id.
  public var id: String
  /// `running`, `paused`, `done` or `cancelled`.
  public var state: String
  /// How it signs.
  public var algorithm: String
  /// What it signs.
  public var source: String
  /// Records per batch.
  public var batchSize: Int
  /// Higher runs first.
  public var priority: Int
  /// Records in batches so far; all of them when `isPlanned`.
  public var planned: Double
  /// Whether `planned` is final.
  public var isPlanned: Bool
  /// Records signed by it.
  public var signed: Double
  /// Records that cannot be signed.
  public var failed: Double
  /// Records that others had signed before.
  public var alreadySigned: Double
  /// Batches that signers have now.
  public var batchesLeased: Double

  /// A job.
  public init(
    id: String, state: String, algorithm: String, source: String, batchSize: Int, priority: Int, planned: Double,
    isPlanned: Bool, signed: Double, failed: Double, alreadySigned: Double, batchesLeased: Double
  ) {
    (self.id, self.state, self.algorithm, self.source) = (id, state, algorithm, source)
    (self.batchSize, self.priority, self.planned, self.isPlanned) = (batchSize, priority, planned, isPlanned)
    (self.signed, self.failed, self.alreadySigned) = (signed, failed, alreadySigned)
    self.batchesLeased = batchesLeased
  }

  /// Records that need no more work.
  var ended: Double { signed + failed + alreadySigned }
  /// Whether it may go on.
  var isOpen: Bool { state == "running" || state == "paused" }
}

/// A key, as KeyKeeper knows it.
public struct KeyReading: Sendable, Hashable {
  /// Its id.
  public var id: Int64
  /// What it signs with.
  public var algorithm: String
  /// `active`, `disabled` or `retired`.
  public var state: String
  /// How often it was leased.
  public var uses: Int64
  /// The id of the signer that holds it; empty if none does.
  public var holder: String
  /// Given by people.
  public var label: String

  /// A key.
  public init(id: Int64, algorithm: String, state: String, uses: Int64, holder: String, label: String) {
    (self.id, self.algorithm, self.state) = (id, algorithm, state)
    (self.uses, self.holder, self.label) = (uses, holder, label)
  }
}
