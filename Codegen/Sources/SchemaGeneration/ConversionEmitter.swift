/// Writes the conversion between a message's Swift struct and its C struct.
struct ConversionEmitter {
  let message: SchemaMessage

  func emit(to lines: inout Lines) {
    lines.space()
    lines.block("extension \(message.swiftType): CMessageConvertible") { lines in
      lines.block("package static var descriptor: MessageDescriptor") { lines in
        lines.add("MessageDescriptor(\(message.cPrefix)__descriptor_address())")
      }
      lines.space()
      emitCopying(to: &lines)
      lines.space()
      emitFill(to: &lines)
    }
  }

  // MARK: C to Swift

  private func emitCopying(to lines: inout Lines) {
    lines.block("package init(copying pointer: UnsafeRawPointer)") { lines in
      guard !message.properties.isEmpty else { return lines.add("self.init()") }
      lines.add("let message = pointer.assumingMemoryBound(to: \(message.cType).self)")
      for property in message.properties {
        switch property {
        case .field(let field): emitCopying(field, to: &lines)
        case .oneof(let oneof): emitCopying(oneof, to: &lines)
        }
      }
    }
  }

  private func emitCopying(_ field: SchemaField, to lines: inout Lines) {
    let target = "self.\(field.property)"
    guard case .optional(_, let caseMember?) = field.shape else {
      return lines.add("\(target) = \(CReading.property(field))")
    }
    lines.block("if message.pointee.\(caseMember).rawValue == \(field.number)") { lines in
      lines.add("\(target) = \(CReading.property(field))")
    }
  }

  private func emitCopying(_ oneof: SchemaOneof, to lines: inout Lines) {
    lines.block("switch message.pointee.\(oneof.cCaseMember).rawValue") { lines in
      for member in oneof.members {
        lines.add("case \(member.number):")
        lines.add("  self.\(oneof.property) = \(CReading.member(member))")
      }
      lines.add("default: break")
    }
  }

  // MARK: Swift to C

  private func emitFill(to lines: inout Lines) {
    let function = "func fill(_ pointer: UnsafeMutableRawPointer, _ writer: MessageWriter)"
    guard !message.properties.isEmpty else { return lines.add("package \(function) throws(ProtobufError) {}") }
    lines.block("package \(function) throws(ProtobufError)") { lines in
      lines.add("let message = pointer.assumingMemoryBound(to: \(message.cType).self)")
      for property in message.properties {
        switch property {
        case .field(let field): CWriting.emit(field, to: &lines)
        case .oneof(let oneof): emitFill(oneof, to: &lines)
        }
      }
    }
  }

  private func emitFill(_ oneof: SchemaOneof, to lines: inout Lines) {
    lines.block("switch self.\(oneof.property)") { lines in
      lines.add("case nil: break")
      for member in oneof.members {
        lines.add("case .\(member.property)(let value)?:")
        lines.add("  message.pointee.\(oneof.cCaseMember) = .init(rawValue: \(member.number))")
        lines.add("  \(CWriting.assignment(member))")
      }
    }
  }
}
