import Dispatch
import Glibc

/// Ctrl-C and SIGTERM, for commands that run until then.
enum Interruption {
  /// Waits for the first of them. A second one ends the process as usual.
  static func wait() async {
    await withCheckedContinuation { continuation in
      let sources = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        return DispatchSource.makeSignalSource(signal: number, queue: .global())
      }
      let once = Once()
      for source in sources {
        source.setEventHandler {
          guard once.take() else { return }
          for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
          for source in sources { source.cancel() }
          continuation.resume()
        }
        source.resume()
      }
    }
  }
}
