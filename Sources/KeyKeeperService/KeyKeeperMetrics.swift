import Domain
public import Telemetry

extension KeyKeeper {
  /// What its metrics mean; nearly all are by the algorithm of the key.
  public static let metrics: [MetricDescription] = [
    counter("chancery_leases_granted_total", "Leases of keys granted"),
    counter("chancery_leases_renewed_total", "Leases renewed"),
    counter("chancery_leases_released_total", "Leases given back"),
    counter("chancery_leases_expired_total", "Leases that ended because they were neither renewed nor released"),
    counter("chancery_leases_unclaimed_total", "Leases whose caller had gone when they were granted"),
    .counter("chancery_leases_left_to_expire_total", "Leases whose release could not be stored"),
    counter("chancery_acquires_queued_total", "Callers that had to wait in line for a key"),
    counter("chancery_acquires_timed_out_total", "Callers that waited for a key in vain"),
    MetricDescription("chancery_acquire_wait_seconds", "Time that callers waited for the leases that they got"),
    MetricDescription("chancery_store_seconds", "Time that calls of Postgres took, by what they were for"),
    MetricDescription("chancery_cache_seconds", "Time that calls of Redis took, by what they were for"),
    MetricDescription("chancery_acquires_waiting", "Callers that wait in line for a key"),
    MetricDescription("chancery_keys_free", "Keys that may be leased and are not"),
    MetricDescription("chancery_keys_leased", "Keys that are leased"),
    counter("chancery_grants_stale_total", "Grants that the store refused because the cache was wrong about the key"),
    counter("chancery_cache_rebuilds_total", "How often the cache was rebuilt from the store"),
    counter("chancery_cache_failures_total", "Steps of the cache that failed"),
    .counter("chancery_releases_unrecorded_total", "Ends of leases that are missing in the audit trail"),
    MetricDescription("chancery_store_retries_total", "Steps of the store tried again, by the code of the failure"),
    MetricDescription("chancery_reconcile_failures_total", "Comparisons of cache and store that failed, by code"),
  ]

  private static func counter(_ name: MetricName, _ help: String) -> MetricDescription {
    .counter(name, help, series: SignatureAlgorithm.allCases.map { ["algorithm": $0.name] })
  }
}
