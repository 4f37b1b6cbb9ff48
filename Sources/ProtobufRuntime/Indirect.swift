/// Stores an optional property outside its struct, so that a message can hold a message of its own type.
///
/// The generator applies it to the singular fields through which a message type contains itself. An absent value takes
/// no memory.
@propertyWrapper
public struct Indirect<Wrapped> {
  private var storage: Storage

  /// Stores a value.
  public init(wrappedValue: Wrapped?) {
    storage = Storage(wrappedValue)
  }

  /// The stored value.
  public var wrappedValue: Wrapped? {
    get {
      switch storage {
      case .absent: nil
      case .present(let value): value
      }
    }
    set { storage = Storage(newValue) }
  }

  fileprivate enum Storage {
    case absent
    indirect case present(Wrapped)

    init(_ value: Wrapped?) {
      self = value.map { .present($0) } ?? .absent
    }
  }
}

extension Indirect: Sendable where Wrapped: Sendable {}
extension Indirect.Storage: Sendable where Wrapped: Sendable {}

extension Indirect: Equatable where Wrapped: Equatable {
  /// Compares the stored values.
  public static func == (left: Indirect, right: Indirect) -> Bool {
    left.wrappedValue == right.wrappedValue
  }
}
