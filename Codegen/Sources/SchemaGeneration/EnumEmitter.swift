/// Writes the Swift enum of a protobuf enum.
struct EnumEmitter {
  let type: SchemaEnum

  func emit(to lines: inout Lines) {
    lines.space()
    lines.block("extension \(type.scope)") { lines in
      lines.doc(type.comment, or: "Enum `\(type.fullName)`.")
      lines.block("public enum \(type.name): ProtobufEnum") { lines in
        emitCases(to: &lines)
        lines.space()
        lines.add("/// The full name of the enum type.")
        lines.add("public static let protobufName = \"\(type.fullName)\"")
        lines.space()
        lines.add("/// The values that the schema names.")
        lines.add("public static let allCases: [Self] = [\(type.cases.map { ".\($0.name)" }.joined(separator: ", "))]")
        emitRawValue(to: &lines)
      }
    }
  }

  private func emitCases(to lines: inout Lines) {
    for value in type.cases {
      lines.doc(value.comment, or: "Value \(value.number).")
      lines.add("case \(value.name)")
    }
    lines.add("/// A number that the schema does not name; the sender may know a newer one.")
    lines.add("case unrecognized(Int32)")
    for (alias, name) in type.aliases {
      lines.doc(alias.comment, or: "Another name of ``\(name)``.")
      lines.add("public static let \(alias.name) = Self.\(name)")
    }
  }

  private func emitRawValue(to lines: inout Lines) {
    lines.space()
    lines.add("/// The value with a number, ``unrecognized(_:)`` if the schema does not name it.")
    lines.block("public init(rawValue: Int32)") { lines in
      lines.block("switch rawValue") { lines in
        for value in type.cases { lines.add("case \(value.number): self = .\(value.name)") }
        lines.add("default: self = .unrecognized(rawValue)")
      }
    }
    lines.space()
    lines.add("/// The number of the value.")
    lines.block("public var rawValue: Int32") { lines in
      lines.block("switch self") { lines in
        for value in type.cases { lines.add("case .\(value.name): \(value.number)") }
        lines.add("case .unrecognized(let number): number")
      }
    }
  }
}
