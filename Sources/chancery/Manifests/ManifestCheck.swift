import Domain
import FoundationEssentials
import Manifest
import Signing

/// Checks a manifest line by line, from the first to the last, and says of each fault where it is.
///
/// Memory does not grow with the manifest: of faults, the first are kept and all are counted.
struct ManifestCheck: ~Copyable {
  /// Something that is not as it was sealed.
  struct Fault: Sendable, Encodable {
    var line: Int
    var recordID: Int64?
    var reason: String

    enum CodingKeys: String, CodingKey {
      case line
      case recordID = "record_id"
      case reason
    }

    var text: String {
      "line \(line)" + (recordID.map { ", record \($0)" } ?? "") + ": \(reason)"
    }
  }

  /// What was found.
  struct Outcome: Sendable {
    var statement: ManifestStatement?
    var sealedBy: PublicKey?
    /// Entries, and how the signature of each was checked. One that is neither was not checked.
    var entries = 0
    var byDigest = 0
    var byPayload = 0
    var failures = 0
    var faultCount = 0
    var faults: [Fault] = []

    var unchecked: Int { entries - byDigest - byPayload - faultyEntries }
    fileprivate(set) var faultyEntries = 0

    mutating func add(_ fault: Fault, keeping limit: Int) {
      faultCount += 1
      if faults.count < limit { faults.append(fault) }
    }
  }

  private(set) var outcome = Outcome()
  private let trusted: PublicKey?
  private let limit: Int
  private var header: (fields: ManifestHeader, algorithm: SignatureAlgorithm, form: SignatureForm)?
  private var keys: [Int64: PublicKey] = [:]
  private var tree: MerkleTree
  private var lines: RunningDigest
  private var line = 0
  private var lastRecord: Int64?
  private var isSealed = false

  /// A check that trusts the coordinator's key `trusted`, or if that is nil the one in the manifest, and keeps `limit` faults.
  init(trusted: PublicKey?, keeping limit: Int) throws(SigningError) {
    let tree = try MerkleTree()
    let lines = try RunningDigest()
    self.trusted = trusted
    self.limit = limit
    self.tree = tree
    self.lines = lines
  }

  /// Some lines as they stand in the file, and what became of each in ``ManifestLineCheck``; in order.
  mutating func add(_ checked: [CheckedLine]) throws(SigningError) {
    for line in checked { try add(line) }
  }

  /// Takes in a header or key before the lines after it are checked. Called for every line in order.
  mutating func prepare(_ line: NumberedLine) {
    if header == nil, case .header(let fields)? = CheckedLine.decode(line) {
      guard let algorithm = SignatureAlgorithm(rawValue: fields.algorithm),
        let form = SignatureForm(rawValue: fields.form)
      else { return }
      header = (fields, algorithm, form)
    } else if line.bytes.starts(with: Array(#"{"key":"#.utf8)), case .key(let key)? = CheckedLine.decode(line) {
      keys[key.keyID] = try? PublicKey(der: [UInt8](key.publicKey).span)
    }
  }

  /// What entries are checked against, as far as the lines prepared tell.
  var context: CheckedLine.Context? {
    header.map { CheckedLine.Context(algorithm: $0.algorithm, form: $0.form, keys: keys) }
  }

  private mutating func add(_ checked: CheckedLine) throws(SigningError) {
    line = checked.line.number
    let isFirst = header.map { _ in false } ?? true
    if isSealed { fault("nothing may follow the seal") }
    var isSeal = false
    switch checked.content {
    case nil: fault(isFirst ? "the first line is no header of a manifest of version 1" : "it is no line of a manifest")
    case .header(let fields):
      if line != 1 { fault("only the first line is a header") }
      if fields.version != ManifestHeader.version {
        fault("version \(fields.version) of the format is not known: upgrade")
      }
    case .key(let key): try check(key)
    case .entry(let entry): try add(entry, checked)
    case .failure: outcome.failures += 1
    case .seal(let seal):
      isSeal = true
      try check(seal)
    }
    if !isSeal { try lines.update(checked.line.bytes + [UInt8(ascii: "\n")]) }
  }

  private mutating func check(_ key: ManifestKey) throws(SigningError) {
    var digester = try PayloadDigester()
    guard "\(try digester.digest([UInt8](key.publicKey).span))" == key.fingerprint else {
      return fault("key \(key.keyID) has not the fingerprint that stands beside it")
    }
    if keys[key.keyID] == nil { fault("key \(key.keyID) is no public key that is known here") }
  }

  private mutating func add(_ entry: ManifestEntry, _ checked: CheckedLine) throws(SigningError) {
    outcome.entries += 1
    if let lastRecord, entry.recordID <= lastRecord { fault("it is not after record \(lastRecord)", entry) }
    lastRecord = entry.recordID
    switch checked.verdict {
    case .byDigest: outcome.byDigest += 1
    case .byPayload: outcome.byPayload += 1
    case .unchecked: break
    case .fault(let reason):
      outcome.faultyEntries += 1
      fault(reason, entry)
    }
    // The leaf that is stated, if it is one: then a changed entry does not make the root wrong for all others.
    if let leaf = SHA256Digest(hexText: entry.leaf) { try tree.append(leaf) }
  }

  private mutating func check(_ seal: ManifestSeal) throws(SigningError) {
    isSealed = true
    guard let statement = ManifestStatement(text: seal.statement) else {
      return fault("the statement is none of this version")
    }
    outcome.statement = statement
    let signatureFault = try seal.fault(trusting: trusted) { outcome.sealedBy = $0 }
    if let signatureFault { fault(signatureFault) }
    if try tree.root() != statement.root {
      fault("the entries have not the root that is sealed: one is missing, added or changed together with its leaf")
    }
    if outcome.entries != statement.records {
      fault("\(outcome.entries) records are there, \(statement.records) are sealed")
    }
    if let header,
      (header.fields.jobID, header.fields.source, header.algorithm, header.form)
        != ("\(statement.job)", statement.source, statement.algorithm, statement.form)
    {
      fault("the header is of another job, source, algorithm or form than what is sealed")
    }
    if try lines.finish() != statement.lines, outcome.faultCount == 0 {
      fault(
        "the lines before are not those that are sealed, but no entry is changed: it is the header, a key or a failure")
    }
  }

  /// What is left to say when all lines have been added.
  mutating func finish() {
    if line == 0 {
      fault("the manifest is empty")
    } else if !isSealed {
      fault("the manifest ends without a seal: it was cut short")
    }
  }

  private mutating func fault(_ reason: String, _ entry: ManifestEntry? = nil) {
    outcome.add(Fault(line: line, recordID: entry?.recordID, reason: reason), keeping: limit)
  }
}

extension ManifestSeal {
  /// What is wrong with the signature; nil if nothing is. Hands over the key with which it was checked.
  func fault(trusting trusted: PublicKey?, _ checkedWith: (PublicKey) -> Void) throws(SigningError) -> String? {
    guard let stated = try? PublicKey(der: [UInt8](publicKey).span) else {
      return "the coordinator's key is no public key"
    }
    let key = trusted ?? stated
    checkedWith(key)
    if key != stated {
      return "it is sealed with \(try stated.fingerprint), not with the key given, \(try key.fingerprint)"
    }
    let isValid = try key.verify(signature: [UInt8](signature).span, payload: Array(statement.utf8).span)
    return isValid ? nil : "the coordinator's signature is not over this statement"
  }
}
