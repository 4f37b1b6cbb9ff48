package import Domain

/// A source with its records, by ascending id, and the signatures over them.
package struct MemorySource: Sendable {
  struct Row: Sendable {
    var id: Int64
    var payload: [UInt8]
    var externalID: String?
    var createdAt: Timestamp?
  }

  package let source: Source
  var rows: [Row] = []
  package var signatures: [Int64: StoredSignature] = [:]
  /// The records that are signed; ascending if `isSorted`.
  private var signed: [Int64] = []
  private var isSorted = true

  static let records = MemorySource(
    source: Source(
      id: SourceID(rawValue: 1), name: Source.records, relation: "chancery.records", idColumn: "id",
      payloadColumn: "payload"))

  init(source: Source) { self.source = source }

  /// The place of the first row with an id of at least `id`.
  func position(_ id: Int64) -> Int {
    rows.lowerBound { $0.id < id }
  }

  func row(_ id: Int64) -> Row? {
    let position = position(id)
    return position < rows.count && rows[position].id == id ? rows[position] : nil
  }

  func rows(in range: ClosedRange<Int64>) -> ArraySlice<Row> {
    let start = position(range.lowerBound)
    let end = range.upperBound == .max ? rows.count : position(range.upperBound + 1)
    return rows[start..<end]
  }

  package mutating func insert(_ signature: StoredSignature) {
    let id = signature.recordID.rawValue
    signatures[id] = signature
    if isSorted, let last = signed.last, id < last { isSorted = false }
    signed.append(id)
  }

  package mutating func remove(_ id: Int64) {
    signatures[id] = nil
    signed.removeAll { $0 == id }
  }

  /// The records with more than one signature, ascending.
  var signedTwice: [Int64] {
    let sorted = signed.sorted()
    return zip(sorted, sorted.dropFirst()).compactMap { $0 == $1 ? $0 : nil }
  }

  /// The ids of signed records after `id`, ascending.
  mutating func signedIDs(after id: Int64?) -> ArraySlice<Int64> {
    if !isSorted {
      signed.sort()
      isSorted = true
    }
    guard let id else { return signed[...] }
    return signed[signed.lowerBound { $0 <= id }...]
  }
}

extension Array {
  /// The first place whose element is not `before`; those before it must all be.
  func lowerBound(_ isBefore: (Element) -> Bool) -> Int {
    var range = 0..<count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      range = isBefore(self[middle]) ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }
}
