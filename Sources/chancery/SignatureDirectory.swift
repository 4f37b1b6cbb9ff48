import Foundation
import Schema
import Translation

/// Signatures as files: for each record `ID.payload` and `ID.sig`, as `openssl` reads them, or `ID.jws` if it was signed as a
/// JWS; and `signatures.csv` (RFC 4180), which says which key signed which.
struct SignatureDirectory {
  private static let heading = CSVText.line([
    "record_id", "external_id", "algorithm", "key_id", "key_epoch", "job_id", "batch", "payload_sha256", "signed_at",
  ])

  private let path: String
  private let index: FileHandle

  /// Makes the directory if it is not there; an index that is there is replaced.
  init(_ path: String) throws {
    self.path = path
    let indexPath = "\(path)/signatures.csv"
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try Data(Self.heading.utf8).write(to: URL(filePath: indexPath))
      index = try FileHandle(forWritingTo: URL(filePath: indexPath))
      try index.seekToEnd()
    } catch {
      throw Self.unwritable(indexPath, error)
    }
  }

  func add(_ signatures: [ChanceryV1.Signature]) throws {
    for signature in signatures {
      try write(signature.payload, to: "\(path)/\(signature.recordID).payload")
      if signature.form == .jws {
        try write(Array(try JWSLine.compact(signature).utf8), to: "\(path)/\(signature.recordID).jws")
      } else {
        try write(signature.signature, to: "\(path)/\(signature.recordID).sig")
      }
    }
    do {
      try index.write(contentsOf: Data(signatures.map(Self.row).joined().utf8))
    } catch {
      throw Self.unwritable("\(path)/signatures.csv", error)
    }
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    do {
      try Data(bytes).write(to: URL(filePath: path))
    } catch {
      throw Self.unwritable(path, error)
    }
  }

  static func row(_ signature: ChanceryV1.Signature) -> String {
    let line = SignatureLine(signature)
    let fields = [
      String(line.recordID), line.externalID ?? "", line.algorithm, String(line.keyID), String(line.keyEpoch),
      line.jobID, String(line.batch), line.payloadSHA256, line.signedAt ?? "",
    ]
    return CSVText.line(fields)
  }

  private static func unwritable(_ path: String, _ error: any Error) -> CommandFailure {
    CommandFailure(
      code: "unwritable_file", path: path, cannotBe: "written", error,
      hint: "name a directory that you may write to, on a disk with room")
  }
}
