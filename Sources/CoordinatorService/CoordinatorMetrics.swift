import Storage
public import Telemetry

extension Coordinator {
  /// What its metrics mean.
  public static let metrics: [MetricDescription] = [
    .counter("chancery_jobs_submitted_total", "Jobs submitted, each idempotency key once"),
    .counter("chancery_jobs_ended_total", "Jobs whose last batch ended here"),
    .counter("chancery_records_put_total", "Records appended"),
    .counter("chancery_signatures_stored_total", "Records signed: one signature was stored for each"),
    .counter("chancery_records_already_signed_total", "Records of a batch that another job had signed before"),
    .counter("chancery_records_failed_total", "Records that could not be signed, or were gone"),
    .counter("chancery_batches_committed_total", "Batches whose results were stored"),
    .counter(
      "chancery_batches_refused_total",
      "Results that were refused because their batch or lease was no longer the signer's",
      series: CommitRefusal.allCases.map { ["reason": $0.rawValue] }),
    .counter(
      "chancery_batches_returned_total", "Batches that came back unsigned, by cause",
      series: ["drained", "key_unavailable", "signer_lost", "failed"].map { ["cause": $0] }),
    .counter("chancery_batches_reclaimed_total", "Batches taken over from coordinators that had stopped"),
    .counter("chancery_commits_total", "Results that the database has answered"),
    MetricDescription("chancery_store_seconds", "Time that calls of Postgres took, by what they were for"),
    MetricDescription("chancery_job_signatures_total", "Signatures stored, by job"),
    MetricDescription("chancery_key_signatures_total", "Signatures stored, by key"),
    MetricDescription("chancery_jobs_running", "Jobs that run, in the whole database"),
    MetricDescription(
      "chancery_batches_pending",
      "Batches of running jobs that wait for a signer, in the whole database; of a long job as many as are planned ahead"
    ),
    MetricDescription("chancery_batches_leased", "Batches that signers have, in the whole database"),
    MetricDescription("chancery_signers_connected", "Signers whose work stream is open"),
  ]
}
