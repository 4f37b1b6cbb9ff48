/// A proto3 enum: the values that the schema names, and whatever number a newer peer may send.
public protocol ProtobufEnum: RawRepresentable, CaseIterable, Hashable, Sendable where RawValue == Int32 {
  /// The case for a number; a number that the schema does not name becomes the `unrecognized` case.
  init(rawValue: Int32)

  /// The full name of the enum type, for instance `chancery.v1.HealthCheckResponse.ServingStatus`.
  static var protobufName: String { get }
}
