/// An option or setting that cannot be used: its giver's mistake.
public struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The name of the option.
  public var option: String
  /// The value given; never a secret.
  public var value: String
  /// What is wrong with it, and what helps.
  public var reason: String

  /// Makes an error.
  public init(option: String, value: String, reason: String) {
    self.option = option
    self.value = value
    self.reason = reason
  }

  /// Names the option, the value and the remedy.
  public var description: String { "\(option) '\(value)': \(reason)" }
}
