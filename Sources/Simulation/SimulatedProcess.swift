import RPC
import RPCMemory
import Synchronization
import TimeAndChance

/// One process of a simulated cluster, which can be stopped, killed and started again.
///
/// What is killed is stopped for good: nothing of it runs any more, not even what would tidy up when a task is cancelled. Its
/// tasks are ended when the simulation is over.
final class SimulatedProcess: Sendable {
  /// What the program of a process has of the world that it runs in.
  struct Host: Sendable {
    let executor: ProcessExecutor
    fileprivate let process: SimulatedProcess

    /// Serves under the name of the process.
    func serve(_ router: RPCRouter, on network: MemoryNetwork) {
      let server = network.serve(router, as: process.name, on: executor)
      process.state.withLock { $0.server = server }
    }

    /// Works until the process ends.
    func run(_ work: @escaping @Sendable () async -> Void) {
      let task = Task(executorPreference: executor) { await work() }
      process.state.withLock { $0.tasks.append(task) }
    }
  }

  private struct State {
    var executor: ProcessExecutor?
    var server: MemoryServer?
    var tasks: [Task<Void, Never>] = []
    /// The remains of those that were killed.
    var killed: [(executor: ProcessExecutor, tasks: [Task<Void, Never>])] = []
  }

  let name: String
  private let world: World
  private let program: @Sendable (Host) -> Void
  private let state = Mutex(State())

  init(_ name: String, world: World, program: @escaping @Sendable (Host) -> Void) {
    self.name = name
    self.world = world
    self.program = program
  }

  /// Starts it; it must not run.
  func start() {
    let executor = ProcessExecutor(world.executor)
    state.withLock { state in
      precondition(state.executor == nil, "\(name) runs")
      state.executor = executor
    }
    program(Host(executor: executor, process: self))
  }

  /// Ends it as kill -9 does: its connections break, and nothing of it runs any more. Returns whether it ran.
  func kill() -> Bool {
    let (server, hasRun) = state.withLock { state -> (MemoryServer?, Bool) in
      guard let executor = state.executor else { return (nil, false) }
      executor.stop()
      state.killed.append((executor, state.tasks))
      defer { (state.executor, state.tasks, state.server) = (nil, [], nil) }
      return (state.server, true)
    }
    server?.stop()
    return hasRun
  }

  /// Stops it as SIGSTOP does.
  func pause() { state.withLock { $0.executor }?.stop() }

  /// Lets it go on, as SIGCONT does.
  func resume() { state.withLock { $0.executor }?.resume() }

  /// Ends what is left of it, at the end of the simulation.
  func end() async {
    let (remains, server) = state.withLock { state in
      var remains = state.killed
      if let executor = state.executor { remains.append((executor, state.tasks)) }
      defer { state = State() }
      return (remains, state.server)
    }
    for (executor, tasks) in remains {
      for task in tasks { task.cancel() }
      executor.resume()
    }
    server?.stop()
    for (_, tasks) in remains { for task in tasks { await task.value } }
  }
}
