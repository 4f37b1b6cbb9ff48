internal import CPostgres

extension PostgresError {
  /// The error that the server reported in a result; the result stays the caller's.
  init(result: OpaquePointer, during what: String, code: Code = .server) {
    func field(_ name: Int32) -> String? {
      PQresultErrorField(result, name).map { String(cString: $0) }
    }
    let sqlState = field(chancery_pg_sqlstate).map { SQLState(rawValue: $0) }
    let constraint = field(chancery_pg_constraint)
    let table = field(chancery_pg_table)
    var message = "\(what): \(field(chancery_pg_message) ?? Self.firstLine(PQresultErrorMessage(result)))"
    if let constraint { message += " (constraint \(constraint))" } else if let table { message += " (table \(table))" }
    if let hint = sqlState?.remedy ?? field(chancery_pg_hint) { message += "; \(hint)" }
    self.init(
      code: code, message: message, sqlState: sqlState, constraint: constraint, schema: field(chancery_pg_schema),
      table: table, column: field(chancery_pg_column))
  }

  /// The error that a connection attempt ended with.
  ///
  /// libpq reports it as text only. With verbose errors the text holds the server's code: "…: FATAL:  28P01: password …".
  init(connectionFailure text: String, target: String) {
    var message = text
    var sqlState: SQLState?
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", omittingEmptySubsequences: false)
      for (index, part) in parts.enumerated() where index > 0 && index + 1 < parts.count {
        let word = part.drop { $0 == " " }
        guard word.count == 5, word.allSatisfy({ $0.isASCII && ($0.isNumber || $0.isUppercase) }) else { continue }
        sqlState = SQLState(rawValue: String(word))
        message = parts[(index + 1)...].joined(separator: ":")
      }
    }
    message = String(message.split(separator: "\n").first?.drop { $0 == " " } ?? "no reason given")
    let remedy = sqlState?.remedy ?? "check that the server runs and accepts connections there"
    self.init(
      code: .connectionFailed, message: "cannot connect to \(target): \(message); \(remedy)", sqlState: sqlState)
  }

  /// The first line of a message of libpq.
  static func firstLine(_ text: UnsafePointer<CChar>?) -> String {
    guard let text else { return "no reason given" }
    let line = String(cString: text).split(separator: "\n").first
    return line.map { String($0) } ?? "no reason given"
  }
}
