import NIOCore
import NIOPosix
import Synchronization

/// Runs tasks on the thread of an event loop, so that a handler needs no thread hop.
///
/// NIO runs everything that was handed to a loop before it looks at its sockets again, and whatever that hands to the
/// loop as well: tasks that go on making work would keep it from its sockets for ever. So jobs run for at most
/// `budget` between two looks at the sockets; what is left is put off for a moment, in which the loop looks.
///
/// After every `turn` jobs the loop does what else it was handed, such as writing what they have sent: the peer works on
/// that meanwhile. Otherwise the two ends of a busy connection would take turns, each with all of its calls, and a second
/// core would be of no use.
///
/// `@unchecked Sendable`: what is mutable is touched on the loop's thread alone.
final class LoopExecutor: TaskExecutor, @unchecked Sendable {
  private static let budget = TimeAmount.milliseconds(1)
  /// Long enough that the loop has nothing to run and looks at its sockets, too short to matter.
  private static let pause = TimeAmount.microseconds(20)
  /// Few enough that half of some tens of calls are at each end, enough that a write is shared by many.
  private static let turn = 16

  private let loop: any EventLoop
  private var jobs: [UnownedJob] = []
  /// The array in turns with `jobs`, so that draining does not allocate.
  private var batch: [UnownedJob] = []
  /// How much of `batch` has run.
  private var position = 0
  private var isScheduled = false
  /// When the first job ran since the loop last looked at its sockets.
  private var start: NIODeadline?

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if loop.inEventLoop {
      add(job)
    } else {
      loop.execute { self.add(job) }
    }
  }

  /// The loop is about to look at its sockets.
  func tickEnded() { start = nil }

  private func add(_ job: UnownedJob) {
    jobs.append(job)
    guard !isScheduled else { return }
    isScheduled = true
    loop.execute { self.drain() }
  }

  private func drain() {
    let now = NIODeadline.now()
    if let start, now - start > Self.budget {
      loop.scheduleTask(in: Self.pause) { self.drain() }
      return
    }
    if start == nil { start = now }
    if position == batch.count {
      batch.removeAll(keepingCapacity: true)
      position = 0
      swap(&jobs, &batch)
    }
    let end = min(position + Self.turn, batch.count)
    while position < end {
      batch[position].runSynchronously(on: asUnownedTaskExecutor())
      position += 1
    }
    isScheduled = position < batch.count || !jobs.isEmpty
    if isScheduled { loop.execute { self.drain() } }
  }
}

/// Tells executors when their loops look at the sockets: NIO reports the end of each tick, on the loop's thread.
final class LoopTicks: NIOEventLoopMetricsDelegate {
  private let executors = Mutex<[ObjectIdentifier: LoopExecutor]>([:])

  func observe(_ executors: [ObjectIdentifier: LoopExecutor]) { self.executors.withLock { $0 = executors } }

  func processedTick(info: NIOEventLoopTickInfo) {
    executors.withLock { $0[info.eventLoopID] }?.tickEnded()
  }
}
