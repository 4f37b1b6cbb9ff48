public import RPC

/// Who may call what between the parts of Chancery, by the URI of their certificates. What is not listed is denied.
///
/// | who | calls |
/// |---|---|
/// | signer | `Batches` of coordinators, `Leases` of KeyKeepers, `Telemetry` of Logger |
/// | coordinator, keykeeper, logger | `Telemetry` of Logger |
/// | operator, the command line | `Jobs`, `Records`, `Keys`, `Metrics`, `Logs` |
/// | everybody with a certificate | `Health`, `Reflection` |
public enum AccessTable {
  /// An identity in the trust domain of Chancery: `spiffe://chancery/` and a name such as `signer` or `operator`.
  public static func identity(_ name: String) -> String { "spiffe://chancery/\(name)" }

  private static let telemetry = "chancery.v1.Telemetry"

  /// The table.
  public static let policy = AccessPolicy(
    [
      identity("signer"): ["chancery.v1.Batches", "chancery.v1.Leases", telemetry],
      identity("coordinator"): [telemetry],
      identity("keykeeper"): [telemetry],
      identity("logger"): [telemetry],
      identity("operator"): [
        "chancery.v1.Jobs", "chancery.v1.Records", "chancery.v1.Keys", "chancery.v1.Metrics", "chancery.v1.Logs",
      ],
    ], everybody: ["chancery.v1.Health", "chancery.v1.Reflection"])
}
