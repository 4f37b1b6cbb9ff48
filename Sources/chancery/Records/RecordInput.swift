import ArgumentParser
import Domain
import Glibc
import Schema

/// Where records come from, one after another, in bounded memory.
protocol RecordInput {
  /// The next record; nil at the end. Throws what is wrong with it, and where it stands.
  mutating func next() throws -> ChanceryV1.NewRecord?
}

/// As what records are written down.
enum RecordFormat: String, ExpressibleByArgument, CaseIterable {
  /// By the name: a directory is `files`, a name that ends in `.csv` is `csv`, all else is `jsonl`.
  case auto
  /// A JSON object a line.
  case jsonl
  /// RFC 4180 with a line of headings.
  case csv
  /// A directory, of which each file is a record.
  case files
}

extension RecordFormat {
  /// What `auto` stands for.
  func resolved(for path: String) -> RecordFormat {
    guard self == .auto else { return self }
    var status = stat()
    if path != "-", stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return .files }
    return path.lowercased().hasSuffix(".csv") ? .csv : .jsonl
  }
}

extension ChanceryV1.NewRecord {
  /// A record whose limits are checked. `place` is where it stands, for errors.
  init(payload: [UInt8], externalID: String, at place: String) throws {
    guard payload.count <= Record.maximumPayloadBytes else {
      throw CommandFailure(
        code: "payload_too_large",
        message: "\(place): a payload of \(payload.count) bytes is above the limit of \(Record.maximumPayloadBytes)",
        hint: "split the record, or sign a digest of it")
    }
    guard externalID.utf8.count <= Record.maximumExternalIDBytes else {
      throw CommandFailure(
        code: "external_id_too_long",
        message: "\(place): an external id of \(externalID.utf8.count) bytes is above the limit of "
          + "\(Record.maximumExternalIDBytes)", hint: "use a shorter name, such as a digest of it")
    }
    self.init(payload: payload, externalID: externalID)
  }
}
