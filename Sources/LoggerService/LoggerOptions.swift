public import Storage
public import TimeAndChance

/// The times and bounds of Logger.
public struct LoggerOptions: Sendable {
  /// The bounds of the metrics kept in memory. What is above them is dropped and counted, and the snapshot says that it
  /// is incomplete.
  public struct MetricLimits: Sendable {
    /// The most incarnations of services at a time. For a further one, the longest silent one is folded into the total
    /// of its service; if none is silent, the new one is refused.
    public var incarnations = 512
    /// The most kinds of services.
    public var services = 64
    /// The most series (a name with labels) of an incarnation.
    public var series = 512
    /// The most series of one name of an incarnation.
    public var labelSets = 128
    /// The most text in all series together, in bytes, so that a snapshot fits into one message of 4 MiB.
    public var textBytes = 2 << 20
    /// The most bytes for the buckets of all histograms together, in that message.
    public var histogramBytes = 1 << 20
    /// The most bytes for what came in the last seconds, about; the oldest seconds make room for the newest.
    public var windowBytes = 64 << 20
    /// The most series of which the last seconds are kept.
    public var windowSeries = 16_384
    /// How many folded incarnations are remembered, in case one comes back.
    public var recollection = 64
    /// How old the last report of an incarnation may be before the snapshot says that it is incomplete.
    public var staleAfter: Duration = .seconds(5)
    /// How long an incarnation that fell silent without a goodbye is listed by itself.
    public var silentRetention: Duration = .seconds(600)

    /// The defaults.
    public init() {}
  }

  /// The bounds of the metrics.
  public var metrics = MetricLimits()
  /// The most events that wait to be stored; further ones are dropped and counted.
  public var eventQueue = 10_000
  /// The most text of events that wait to be stored, in bytes.
  public var eventQueueBytes = 16 << 20
  /// The most events that are stored at a time.
  public var eventGroup = 500
  /// The most who may follow events at a time.
  public var followers = 64
  /// The most events that wait for one who follows; beyond it the oldest are left out, and counted.
  public var followerQueue = 1000
  /// The most text of events that wait for one who follows, in bytes.
  public var followerQueueBytes = 4 << 20
  /// For how many days (UTC) stored events are kept, today included; at least 1.
  public var retentionDays = 30
  /// How often events that are not kept any longer are dropped, and room is made for those of the next day.
  public var retentionInterval: Duration = .seconds(3600)
  /// The pauses between attempts to store events.
  public var storeBackoff = Backoff()
  /// How long `flush` waits for the store.
  public var flushTimeout: Duration = .seconds(5)
  /// Where the audit log is; nil: there is none to seal.
  public var auditLog: (any AuditLogStore)?
  /// The time between two looks for what is to be sealed.
  public var auditInterval: Duration = .seconds(1)
  /// The most entries that are sealed in one transaction.
  public var auditGroup = 500
  /// How often the head of the audit log is told, if it has changed.
  public var auditHeadInterval: Duration = .seconds(60)

  /// The defaults.
  public init() {}
}
