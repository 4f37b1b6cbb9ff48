/// A first-in, first-out queue from whose middle an element can be taken.
///
/// `append` and `popFirst` take constant time on average, `removeFirst(where:)` linear time: the queues here hold at most
/// some thousand waiters.
package struct FIFOQueue<Element> {
  private var elements: [Element?] = []
  private var head = 0

  package init() {}

  package var count: Int { elements.count - head }
  package var isEmpty: Bool { count == 0 }

  package mutating func append(_ element: Element) {
    elements.append(element)
  }

  /// Puts an element before all others, as for one who keeps his place.
  package mutating func prepend(_ element: Element) {
    if head > 0 {
      head -= 1
      elements[head] = element
    } else {
      elements.insert(element, at: 0)
    }
  }

  package mutating func popFirst() -> Element? {
    guard !isEmpty else { return nil }
    let element = elements[head]
    elements[head] = nil
    head += 1
    // Half of the storage is spent: moving the rest down costs as much as was popped since the last time.
    if head * 2 >= elements.count {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }

  package mutating func removeFirst(where predicate: (Element) -> Bool) -> Element? {
    for index in head..<elements.count {
      if let element = elements[index], predicate(element) {
        elements.remove(at: index)
        return element
      }
    }
    return nil
  }

  /// Empties the queue.
  package mutating func removeAll() -> [Element] {
    defer {
      elements = []
      head = 0
    }
    return elements[head...].compactMap { $0 }
  }
}
