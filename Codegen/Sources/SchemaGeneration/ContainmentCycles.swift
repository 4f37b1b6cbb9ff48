internal import SwiftProtobufPluginLibrary

/// Which message types contain themselves through singular fields, directly or over others.
///
/// A Swift struct cannot hold such a field in place. Repeated and map fields are stored elsewhere anyway.
struct ContainmentCycles {
  /// For each message, all messages that it holds in place.
  private var reachable: [String: Set<String>] = [:]

  init(_ messages: [Descriptor]) {
    var contained: [String: Set<String>] = [:]
    func visit(_ message: Descriptor) {
      contained[message.fullName] = Set(
        message.fields.filter { !$0.isRepeated }.compactMap { $0.messageType?.fullName })
      message.messages.forEach(visit)
    }
    messages.forEach(visit)
    for message in contained.keys {
      var pending = Array(contained[message]!)
      var seen: Set<String> = []
      while let next = pending.popLast() {
        if seen.insert(next).inserted { pending += contained[next] ?? [] }
      }
      reachable[message] = seen
    }
  }

  /// Whether the type of the field contains the message that holds the field.
  func contains(_ field: FieldDescriptor) -> Bool {
    guard !field.isRepeated, let type = field.messageType, let owner = field.containingType else { return false }
    return type.fullName == owner.fullName || reachable[type.fullName, default: []].contains(owner.fullName)
  }
}
