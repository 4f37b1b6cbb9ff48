public import Telemetry

extension LoggerCore {
  /// What its metrics mean.
  public static let metrics: [MetricDescription] = [
    .counter("chancery_logger_reports_total", "Reports of services taken in"),
    .counter("chancery_logger_events_stored_total", "Events stored in the database"),
    .counter("chancery_logger_store_failures_total", "Attempts to store events that failed"),
    .counter(
      "chancery_logger_events_dropped_total", "Events that were lost, by reason",
      series: ["overflow", "refused", "stopped"].map { ["reason": $0] }),
    .counter(
      "chancery_logger_metrics_dropped_total", "Values that were not kept, by reason",
      series: ["malformed", "excess"].map { ["reason": $0] }),
    .counter("chancery_logger_events_skipped_total", "Events not told to those who follow and were behind"),
    .counter("chancery_logger_event_partitions_dropped_total", "Days of events dropped because they were old"),
    .counter("chancery_audit_entries_sealed_total", "Entries of the audit log that were sealed"),
    .counter("chancery_audit_seal_failures_total", "Attempts to seal the audit log that failed"),
    MetricDescription("chancery_logger_streams_refused_total", "Streams of reports that were refused, by status code"),
    MetricDescription("chancery_logger_services", "Services that report, or did so lately"),
  ]
}
