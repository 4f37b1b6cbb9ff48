/// A clock that services take as a parameter, so that a simulator can put a virtual one in its place.
///
/// Instants are those of `ContinuousClock`: on Linux it reads `CLOCK_BOOTTIME`, which goes on while the machine sleeps.
/// A lease must not seem younger after a suspend than it is, so that is the only clock by which leases are timed.
///
/// `sleep(until:tolerance:)` throws `CancellationError` when the task is cancelled first.
public protocol ServiceClock: Clock where Instant == ContinuousClock.Instant, Duration == Swift.Duration {}

extension ContinuousClock: ServiceClock {}
