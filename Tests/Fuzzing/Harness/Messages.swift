import DynamicMessages
import ProtobufRuntime
import Schema
import TestSchema

private let types: [(any ProtobufMessage.Type, SchemaTypeSet)] = {
  let schemas = [
    (SchemaDescriptors.messageTypes, SchemaDescriptors.fileDescriptorSet),
    (TestSchemaDescriptors.messageTypes, TestSchemaDescriptors.fileDescriptorSet),
  ]
  return schemas.flatMap { messageTypes, descriptors in
    guard let set = try? SchemaTypeSet(fileDescriptorSet: descriptors) else { fatalError("no schema") }
    return messageTypes.map { ($0, set) }
  }
}()

/// The first byte chooses a type, the others are a message of it, or not.
func fuzzMessages(_ bytes: [UInt8]) {
  guard let choice = bytes.first else { return }
  let (type, schema) = types[Int(choice) % types.count]
  check(type, schema, bytes.dropFirst())
}

/// What can be decoded can be encoded and is then decoded as the same, also by way of JSON.
private func check<Message: ProtobufMessage>(
  _ type: Message.Type, _ schema: SchemaTypeSet, _ bytes: ArraySlice<UInt8>
) {
  let json = try? schema.json(bytes, as: Message.protobufName)
  guard let message = try? Message(protobuf: bytes) else { return }
  guard let encoded = try? message.protobufBytes() else {
    fatalError("\(Message.protobufName) cannot be encoded")
  }
  guard let again = try? Message(protobuf: encoded) else {
    fatalError("\(Message.protobufName) cannot be decoded")
  }
  guard let twice = try? again.protobufBytes() else { fatalError("\(Message.protobufName) cannot be encoded") }
  require(encoded.count == twice.count, "\(Message.protobufName) changes its size")
  guard let json else { fatalError("\(Message.protobufName) has no JSON") }
  guard let bytes = try? schema.bytes(json, as: Message.protobufName), let third = try? Message(protobuf: bytes) else {
    fatalError("\(Message.protobufName) cannot be made of its JSON \(json)")
  }
  // Not a number is not equal to itself, but has the same JSON.
  require(
    third == again || (try? schema.json(bytes[...], as: Message.protobufName)) == json,
    "\(Message.protobufName) differs from its JSON \(json)")
}
