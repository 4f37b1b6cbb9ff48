/// Everything in the `.proto` files that cannot be generated.
public struct SchemaError: Error, CustomStringConvertible {
  /// One complaint.
  public struct Problem: Sendable, Equatable, CustomStringConvertible {
    /// The `.proto` file.
    public let file: String
    /// The full name of the element, or empty for the file itself.
    public let element: String
    /// What is wrong and what to do instead.
    public let message: String

    /// File, element and message in one line.
    public var description: String {
      element.isEmpty ? "\(file): \(message)" : "\(file): \(element): \(message)"
    }
  }

  /// The complaints, in the order of the files.
  public let problems: [Problem]

  /// One line for each problem.
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}
