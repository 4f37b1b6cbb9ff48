import Glibc

/// A counting semaphore for threads that may block.
final class Semaphore: @unchecked Sendable {
  // A sem_t must not move, and its functions may be called by any thread: so it lives on the heap, and sharing is safe.
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() {
    let result = sem_init(semaphore, 0, 0)
    precondition(result == 0, "sem_init failed: errno \(errno)")
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() {
    let result = sem_post(semaphore)
    precondition(result == 0, "sem_post failed: errno \(errno)")
  }

  func wait() {
    while sem_wait(semaphore) != 0 {
      precondition(errno == EINTR, "sem_wait failed: errno \(errno)")
    }
  }
}
