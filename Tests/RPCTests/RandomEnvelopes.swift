import TimeAndChance

@testable import RPC

/// Envelopes with every combination of fields, from a seed.
struct RandomEnvelopes {
  let random: SeededRandom

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  func request() -> RequestEnvelope {
    var metadata = Metadata()
    for _ in 0..<random.next(below: 4) { metadata.add(text(below: 300), for: key()) }
    let timeouts = [0, 1, -1, .max, .min, Int64(truncatingIfNeeded: random.next())]
    return RequestEnvelope(
      name: MethodName(service: text(below: 200), method: text(below: 20)), payload: bytes(),
      timeoutNanoseconds: timeouts[random.next(below: timeouts.count)], metadata: metadata)
  }

  func response() -> ResponseEnvelope {
    guard random.next(below: 2) == 0 else { return ResponseEnvelope(payload: bytes()) }
    let codes: [Int32] = [1, 5, 16, 42, -1, .max, .min]
    let details = (0..<random.next(below: 4)).map { _ in ErrorDetail(typeURL: text(below: 60), value: Array(bytes())) }
    let error = RPCError(
      StatusCode(rawValue: codes[random.next(below: codes.count)]), text(below: 300), details: details)
    return ResponseEnvelope(error: error, payload: random.next(below: 2) == 0 ? [] : bytes())
  }

  private func key() -> String {
    let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    return String((0...random.next(below: 20)).map { _ in letters[random.next(below: letters.count)] })
  }

  private func bytes() -> ArraySlice<UInt8> {
    let counts = [0, 1, 127, 128, 300, 16_383, 16_384]
    return (0..<counts[random.next(below: counts.count)]).map { _ in UInt8(truncatingIfNeeded: random.next()) }[...]
  }

  private func text(below count: Int) -> String {
    let scalars: [Unicode.Scalar] = [
      "a", "Z", "0", " ", "\n", "\"", "\\", "é", "\u{7FF}", "\u{800}", "\u{FFFD}", "🖋", "\u{1}",
    ]
    var text = ""
    for _ in 0..<random.next(below: count) { text.unicodeScalars.append(scalars[random.next(below: scalars.count)]) }
    return text
  }
}
