import Dispatch
import Glibc
import TimeAndChance

/// Ctrl-C and SIGTERM, for commands that run until then.
struct Interruption {
  private let hasCome = Latch()

  /// Expects the first of them from now on; a second one ends the process as usual.
  ///
  /// They are not ignored meanwhile: a signal that comes before Dispatch catches it would be lost, and nobody would stop.
  init() {
    let numbers = [SIGINT, SIGTERM]
    let sources = numbers.map { DispatchSource.makeSignalSource(signal: $0, queue: .global()) }
    for source in sources {
      source.setEventHandler { [hasCome] in
        for number in numbers { signal(number, SIG_DFL) }
        for source in sources { source.cancel() }
        hasCome.open()
      }
      source.resume()
    }
  }

  /// Waits until it has come.
  func wait() async { await hasCome.wait() }
}
