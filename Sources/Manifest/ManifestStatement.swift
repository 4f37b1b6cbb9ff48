public import Domain

/// What the coordinator signs: lines of text, each a name and a value, after a first line that nothing else begins with.
///
///     chancery-manifest-v1
///     job 0190a3c2-5c6e-7d3a-9f10-0c2b7f1f8a11
///     source records
///     algorithm ecdsa-p256
///     form raw
///     records 100000
///     root 6f0e…
///     lines 2b9c…
///     signed_at_us 1764256953123456
public struct ManifestStatement: Sendable, Hashable {
  /// The first line: the kind of statement and its version.
  public static let domain = "chancery-manifest-v1"

  /// The job.
  public var job: JobID
  /// The name of the source of its records.
  public var source: String
  /// How they are signed.
  public var algorithm: SignatureAlgorithm
  /// What is signed of each.
  public var form: SignatureForm
  /// How many are signed.
  public var records: Int
  /// The root of the tree over their entries.
  public var root: SHA256Digest
  /// SHA-256 of all lines of the manifest before the last, with their line ends.
  public var lines: SHA256Digest
  /// When it was signed.
  public var signedAt: Timestamp

  /// Makes a statement.
  public init(
    job: JobID, source: String, algorithm: SignatureAlgorithm, form: SignatureForm, records: Int, root: SHA256Digest,
    lines: SHA256Digest, signedAt: Timestamp
  ) {
    self.job = job
    self.source = source
    self.algorithm = algorithm
    self.form = form
    self.records = records
    self.root = root
    self.lines = lines
    self.signedAt = signedAt
  }

  /// The text, whose UTF-8 bytes are signed.
  public var text: String {
    """
    \(Self.domain)
    job \(job)
    source \(source)
    algorithm \(algorithm)
    form \(form)
    records \(records)
    root \(root)
    lines \(lines)
    signed_at_us \(signedAt.rawValue)

    """
  }

  /// Reads a text; nil unless it is exactly what ``text`` would be.
  public init?(text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count == 10, lines[0] == Self.domain else { return nil }
    let names = ["job", "source", "algorithm", "form", "records", "root", "lines", "signed_at_us"]
    var values: [String] = []
    for (line, name) in zip(lines.dropFirst(), names) {
      guard line.hasPrefix(name + " ") else { return nil }
      values.append(String(line.dropFirst(name.count + 1)))
    }
    guard let job = JobID(values[0]), let algorithm = SignatureAlgorithm(rawValue: values[2]),
      let form = SignatureForm(rawValue: values[3]), let records = Int(values[4]), records >= 0,
      let root = SHA256Digest(hexText: values[5]), let digest = SHA256Digest(hexText: values[6]),
      let signedAt = Int64(values[7])
    else { return nil }
    self.init(
      job: job, source: values[1], algorithm: algorithm, form: form, records: records, root: root, lines: digest,
      signedAt: Timestamp(rawValue: signedAt))
    guard self.text == text else { return nil }
  }
}
