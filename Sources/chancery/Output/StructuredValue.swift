import FoundationEssentials

/// What a value is in JSON, for other formats that can say the same.
enum StructuredValue: Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case unsigned(UInt64)
  case number(Double)
  case text(String)
  case list([StructuredValue])
  case object([String: StructuredValue])

  /// What the value is in JSON.
  init(_ value: some Encodable) {
    do {
      self = try JSONDecoder().decode(StructuredValue.self, from: Data(JSONText.line(value).utf8))
    } catch {
      preconditionFailure("JSON that was encoded can be decoded: \(error)")
    }
  }
}

extension StructuredValue: Codable {
  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let integer = try? value.decode(Int64.self) {
      self = .integer(integer)
    } else if let unsigned = try? value.decode(UInt64.self) {
      self = .unsigned(unsigned)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([StructuredValue].self) {
      self = .list(list)
    } else {
      self = .object(try value.decode([String: StructuredValue].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .null: try value.encodeNil()
    case .bool(let bool): try value.encode(bool)
    case .integer(let integer): try value.encode(integer)
    case .unsigned(let unsigned): try value.encode(unsigned)
    case .number(let number): try value.encode(number)
    case .text(let text): try value.encode(text)
    case .list(let list): try value.encode(list)
    case .object(let object): try value.encode(object)
    }
  }
}
