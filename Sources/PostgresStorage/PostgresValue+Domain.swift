import Domain
import PostgresDriver

// How the values of the domain are written as parameters.
extension PostgresValue {
  static func id<Entity>(_ id: SerialID<Entity>) -> PostgresValue { .int64(id.rawValue) }
  static func id<Entity>(_ id: UniqueID<Entity>) -> PostgresValue { .uuid(id.uuid) }
  static func ids<Entity>(_ ids: [SerialID<Entity>]) -> PostgresValue { .int64Array(ids.map(\.rawValue)) }
  static func ids<Entity>(_ ids: [UniqueID<Entity>]) -> PostgresValue { .uuidArray(ids.map(\.uuid)) }
  static func epoch(_ epoch: Epoch) -> PostgresValue { .int64(epoch.rawValue) }
  static func algorithm(_ algorithm: SignatureAlgorithm) -> PostgresValue { .int16(Int16(algorithm.storageCode)) }
  static func form(_ form: SignatureForm) -> PostgresValue { .int16(Int16(form.storageCode)) }
  static func time(_ time: Timestamp) -> PostgresValue {
    .timestamp(PostgresTimestamp(unixMicroseconds: time.rawValue))
  }
  static func count(_ count: Int) -> PostgresValue { .int64(Int64(count)) }
}

extension UniqueID {
  var uuid: PostgresUUID {
    let bytes = bytes
    return PostgresUUID(
      high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, low: bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
  }

  init(_ uuid: PostgresUUID) {
    let bytes = [uuid.high, uuid.low].flatMap { word in
      stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
    }
    // Sixteen bytes are what it takes.
    self.init(bytes: bytes)!
  }
}
