extension ServiceClock {
  /// Runs `operation` in a child task, which is cancelled after `limit`; returns whether it ended by itself. Returns
  /// only when the operation has ended, so the limit holds as far as the operation heeds its cancellation.
  public func run(atMost limit: Duration, _ operation: @escaping @Sendable () async -> Void) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        await operation()
        return true
      }
      group.addTask {
        // Ends early only when the operation has ended or the caller is cancelled.
        try? await self.sleep(for: limit)
        return false
      }
      let hasEnded = await group.next()!
      group.cancelAll()
      return hasEnded
    }
  }
}
