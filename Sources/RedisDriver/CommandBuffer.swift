/// Commands in the form that Redis reads: arrays of bulk strings ("RESP protocol spec" in its documentation).
struct CommandBuffer {
  private(set) var bytes: [UInt8] = []
  /// How many commands there are, and so answers.
  private(set) var count = 0

  mutating func append(_ arguments: [RedisArgument]) {
    precondition(!arguments.isEmpty, "a command has a name")
    begin(arguments.count)
    for argument in arguments { append(argument) }
  }

  /// `EVALSHA sha numkeys keys… arguments…`
  mutating func appendEvaluation(_ call: RedisCall) {
    begin(3 + call.keys.count + call.arguments.count)
    append("EVALSHA")
    append(call.script.sha1)
    append(.integer(Int64(call.keys.count)))
    for key in call.keys { append(key) }
    for argument in call.arguments { append(argument) }
  }

  mutating func removeAll() {
    // A large pipeline must not keep its memory for ever.
    bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
    count = 0
  }

  private mutating func begin(_ size: Int) {
    count += 1
    appendLine(UInt8(ascii: "*"), size)
  }

  private mutating func append(_ argument: RedisArgument) {
    switch argument {
    case .text(let text): append(text)
    case .integer(let number): append(String(number))
    case .bytes(let value):
      appendLine(UInt8(ascii: "$"), value.count)
      bytes.append(contentsOf: value)
      appendLineEnd()
    }
  }

  private mutating func append(_ text: String) {
    appendLine(UInt8(ascii: "$"), text.utf8.count)
    bytes.append(contentsOf: text.utf8)
    appendLineEnd()
  }

  private mutating func appendLine(_ kind: UInt8, _ number: Int) {
    bytes.append(kind)
    if number < 10 {
      bytes.append(UInt8(ascii: "0") + UInt8(number))
    } else {
      bytes.append(contentsOf: String(number).utf8)
    }
    appendLineEnd()
  }

  private mutating func appendLineEnd() {
    bytes.append(UInt8(ascii: "\r"))
    bytes.append(UInt8(ascii: "\n"))
  }
}
