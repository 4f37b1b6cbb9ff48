/// How much there is to do.
public struct Backlog: Sendable, Hashable {
  /// Jobs that run.
  public var jobs: Int
  /// Batches of theirs that wait for a signer. Of a job that is not planned to its end there are only as many as are wanted
  /// soon.
  public var batchesPending: Int
  /// Batches that signers have, those of paused jobs included.
  public var batchesLeased: Int

  /// Makes a backlog.
  public init(jobs: Int = 0, batchesPending: Int = 0, batchesLeased: Int = 0) {
    self.jobs = jobs
    self.batchesPending = batchesPending
    self.batchesLeased = batchesLeased
  }
}
