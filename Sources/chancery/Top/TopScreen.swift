import Dashboard
import DedicatedThreads
import Foundation
import Synchronization
import Terminal

/// Shows the dashboard on the terminal and takes keys, on a thread of its own: painting may block.
final class TopScreen: Sendable {
  /// At most four frames a second.
  private static let frame = Duration.milliseconds(250)
  /// What is shown gets older even if nothing comes.
  private static let still = Duration.seconds(1)
  /// So many keys at most are taken between two frames.
  private static let keysAtOnce = 64

  private let state: TopState
  private let usesColour: Bool
  private let isStopped = Atomic(false)

  init(state: TopState, usesColour: Bool) {
    self.state = state
    self.usesColour = usesColour
  }

  /// Runs until the person leaves or the task is cancelled. Throws `Screen.Unavailable` if there can be no screen, and
  /// what an interruption ends a command with.
  func run() async throws {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        do {
          try DetachedThread.start(name: "screen") { continuation.resume(with: Result { try self.loop() }) }
        } catch {
          continuation.resume(throwing: error)
        }
      }
    } onCancel: {
      isStopped.store(true, ordering: .relaxed)
      state.waker.wake()
    }
  }

  private func loop() throws {
    let screen = try Screen(state.waker, usesColour: usesColour)
    defer { screen.close() }
    fit(to: screen)
    var painted = ContinuousClock.now - Self.still
    var isDirty = true
    while !isStopped.load(ordering: .relaxed) {
      let due = painted.advanced(by: isDirty ? Self.frame : Self.still)
      if ContinuousClock.now >= due {
        painted = .now
        isDirty = false
        screen.paint(state.current.frame(now: painted))
        continue
      }
      let event = state.waker.wait(atMost: ContinuousClock.now.duration(to: due))
      isDirty = isDirty || event.wasWoken || event.hasInput
      let signals = state.waker.signals()
      if !signals.isDisjoint(with: [.interrupt, .end]) { throw CancellationError() }
      if signals.contains(.suspend) { screen.suspend() } else if signals.contains(.continued) { screen.takeBack() }
      if !signals.isDisjoint(with: [.resized, .suspend, .continued]) {
        screen.resize()
        fit(to: screen)
      }
      if event.hasInput, try takeKeys(screen) { return }
    }
  }

  private func fit(to screen: Screen) {
    let (size, capabilities) = (screen.size, screen.capabilities)
    state.change { dashboard in
      dashboard.size = size
      dashboard.capabilities = capabilities
    }
  }

  /// Takes the keys that were pressed; returns whether one of them leaves.
  private func takeKeys(_ screen: Screen) throws -> Bool {
    for count in 0..<Self.keysAtOnce {
      guard let pressed = screen.nextKey() else {
        // Readable, and nothing to read: the terminal is gone.
        if count == 0, state.waker.hasInput { throw CancellationError() }
        return false
      }
      switch pressed {
      case .other: break
      case .redraw: screen.resize()
      case .key(let key):
        switch state.change({ $0.handle(key, at: .now) }) {
        case .quit: return true
        case .dump: dump()
        case nil: break
        }
      }
    }
    return false
  }

  /// Writes what the screen shows to a new file in the working directory.
  private func dump() {
    let time = Date().formatted(
      .iso8601.year().month().day().time(includingFractionalSeconds: true).dateSeparator(.omitted).timeSeparator(
        .omitted))
    let name = "chancery-top-\(time.replacing(/[^0-9T]/, with: "")).txt"
    let text = state.current.frame(now: .now).text
    let notice: String
    do {
      try Data(text.utf8).write(to: URL(filePath: name), options: .withoutOverwriting)
      notice = "written to \(name)"
    } catch {
      notice = CommandFailure(code: "unwritable_file", path: name, cannotBe: "written", error).message
    }
    state.change { $0.view.notice = notice }
  }
}
