import RPCTransport

extension EventLoops {
  /// Lends event loops to `body`, and ends them whatever it does.
  static func with(threads: Int, _ body: (EventLoops) async throws -> Void) async throws {
    let loops = EventLoops(threads: threads)
    do {
      try await body(loops)
    } catch {
      await loops.shutdown()
      throw error
    }
    await loops.shutdown()
  }
}
