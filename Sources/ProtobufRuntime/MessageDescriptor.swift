package import CProtobufC

/// The protoc-c descriptor of a message type.
///
/// It is unchecked Sendable because the pointer is to a constant that protoc-c generated; it is never written or freed.
package struct MessageDescriptor: @unchecked Sendable {
  package let pointer: UnsafePointer<ProtobufCMessageDescriptor>

  package init(_ pointer: UnsafePointer<ProtobufCMessageDescriptor>) {
    self.pointer = pointer
  }

  /// The full name of the message type.
  package var name: String { String(cString: pointer.pointee.name) }

  /// The field descriptors, in the order of their numbers.
  package var fields: UnsafeBufferPointer<ProtobufCFieldDescriptor> {
    UnsafeBufferPointer(start: pointer.pointee.fields, count: Int(pointer.pointee.n_fields))
  }

  /// The index of a field in ``fields``, or nil if the type has no field with this number.
  ///
  /// - Parameter hint: the index of the field found last. Writers emit fields in the order of their numbers and repeated
  ///   elements in a row, so the next field is nearly always that one or its successor.
  func index(ofField number: UInt32, near hint: Int) -> Int? {
    let fields = fields
    if hint < fields.count, fields[hint].id == number { return hint }
    if hint + 1 < fields.count, fields[hint + 1].id == number { return hint + 1 }
    guard let field = protobuf_c_message_descriptor_get_field(pointer, number) else { return nil }
    return field - UnsafePointer(fields.baseAddress!)
  }
}

extension ProtobufCFieldDescriptor {
  var swiftName: String { String(cString: name) }

  var isRepeated: Bool { label == PROTOBUF_C_LABEL_REPEATED }

  var isMember: Bool { flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0 }

  /// The type of a message field. Asked of another field, it is a bug.
  var messageType: MessageDescriptor {
    precondition(type == PROTOBUF_C_TYPE_MESSAGE, "not a message field")
    return MessageDescriptor(descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
  }
}
