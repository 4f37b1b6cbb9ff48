import ArgumentParser
import Domain
import FoundationEssentials
import Schema
import Signing
import Translation

/// As what signatures are exported.
enum SignatureFormat: String, ExpressibleByArgument, CaseIterable {
  /// A JSON object a line, with all that `chancery verify` needs but the public keys.
  case jsonl
  /// RFC 4180 with a line of headings; without payloads.
  case csv
  /// A JSON object a line with a JWS in the compact serialization, and the payload that is detached from it.
  case jws

  /// What precedes all signatures.
  var heading: String { self == .csv ? CSVText.line(Self.columns) : "" }

  /// A signature as one line. Throws `not_jws` for one that was not made as a JWS.
  func line(_ signature: ChanceryV1.Signature) throws -> String {
    switch self {
    case .jsonl: JSONText.line(SignatureLine(signature))
    case .csv: CSVText.line(Self.fields(signature))
    case .jws: JSONText.line(try JWSLine(signature))
    }
  }

  private static let columns = [
    "record_id", "external_id", "algorithm", "form", "key_id", "key_epoch", "job_id", "batch", "payload_sha256",
    "signature", "signed_at",
  ]

  private static func fields(_ signature: ChanceryV1.Signature) -> [String] {
    let line = SignatureLine(signature)
    return [
      String(line.recordID), line.externalID ?? "", line.algorithm, "\(signature.form)", String(line.keyID),
      String(line.keyEpoch), line.jobID, String(line.batch), line.payloadSHA256, line.signature.base64EncodedString(),
      line.signedAt ?? "",
    ]
  }
}

/// A JWS (RFC 7515) as a line of JSON. Its payload is detached and not encoded (RFC 7797).
struct JWSLine: Encodable {
  var recordID: Int64
  var externalID: String?
  var jws: String
  var payload: Data

  enum CodingKeys: String, CodingKey {
    case recordID = "record_id"
    case externalID = "external_id"
    case jws, payload
  }

  init(_ signature: ChanceryV1.Signature) throws {
    recordID = signature.recordID
    externalID = signature.externalID.isEmpty ? nil : signature.externalID
    jws = try Self.compact(signature)
    payload = Data(signature.payload)
  }

  /// The compact serialization without the payload.
  static func compact(_ signature: ChanceryV1.Signature) throws -> String {
    guard signature.form == .jws else {
      throw CommandFailure(
        code: "not_jws", message: "record \(signature.recordID) is signed raw, and what is signed cannot be a JWS",
        hint: "export it as jsonl or csv; 'chancery sign --form jws' signs records so that they can be exported as JWS")
    }
    do {
      return try JWS.detached(
        signature.signature, by: KeyID(rawValue: signature.keyID), SignatureAlgorithm(signature.algorithm, default: nil)
      )
    } catch let error as SigningError {
      throw CommandFailure(error)
    }
  }
}
