/// The first version of the schema.
enum InitialSchema {
  static let migration = Migration(
    version: 1, name: "initial schema", sql: [records, jobs, keys, events, grants].joined(separator: "\n\n"))
}
