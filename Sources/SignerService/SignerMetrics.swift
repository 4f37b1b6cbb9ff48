public import Telemetry

extension Signer {
  /// What its metrics mean.
  public static let metrics: [MetricDescription] = [
    .counter("chancery_records_signed_total", "Records signed, whether or not their signatures were stored"),
    MetricDescription("chancery_record_signing_seconds", "Time to sign a record"),
    MetricDescription("chancery_batch_signing_seconds", "Time to sign all records of a batch, waits excluded"),
    .counter("chancery_batches_signed_total", "Batches whose results a coordinator has stored"),
    .counter("chancery_results_refused_total", "Results that a coordinator refused"),
    .counter("chancery_results_resent_total", "Results sent again because no answer had come"),
    MetricDescription("chancery_lease_wait_seconds", "Time that batches waited for a key"),
    MetricDescription("chancery_result_wait_seconds", "Time from sending a result until it was stored"),
    .counter("chancery_leases_lost_total", "Leases that could not be kept until their batch was done"),
    MetricDescription("chancery_leases_held", "Leases of keys that are held"),
    MetricDescription("chancery_lease_left_seconds", "How long the lease that ends first has left"),
    MetricDescription("chancery_signer_info", "1, with the id under which the signer holds leases as a label"),
  ]
}
