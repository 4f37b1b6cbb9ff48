/// The elements of a repeated field of a view, made when they are read. Holding the list or an element keeps the memory
/// of the whole message alive.
public struct ArenaList<Element>: RandomAccessCollection, Sendable {
  /// The number of elements.
  public let count: Int
  private let element: @Sendable (Int) -> Element

  init(count: Int, element: @escaping @Sendable (Int) -> Element) {
    self.count = count
    self.element = element
  }

  /// The position of the first element, always 0.
  public var startIndex: Int { 0 }

  /// The position after the last element, which is ``count``.
  public var endIndex: Int { count }

  /// The element at a position.
  ///
  /// - Precondition: the position is that of an element.
  public subscript(position: Int) -> Element {
    precondition((0..<count).contains(position), "index \(position) is out of range of \(count) elements")
    return element(position)
  }
}
