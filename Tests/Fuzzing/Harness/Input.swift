@testable import RPC

/// The bytes of a run, read as choices.
struct Input {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func bytes(_ count: Int) -> [UInt8] {
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  mutating func all() -> [UInt8] { bytes(rest.count) }

  /// A frame that is likely to mean something: of a known type, on one of a few streams.
  mutating func frame() -> Frame {
    let types: [FrameType] = [
      .request, .response, .data, .hello, .ping, .cancel, .window, .headers, .end, .goAway, FrameType(rawValue: 0x4F),
    ]
    let id = byte()
    let type = types[Int(byte()) % types.count]
    let flags = FrameFlags(rawValue: byte())
    let length = Int(byte())
    // Now and then a large one.
    let payload = length < 250 ? bytes(length) : [UInt8](repeating: byte(), count: (length - 249) * 20_000)
    return Frame(
      streamID: id == 255 ? .connection : StreamID(UInt32(id % 16)), type: type, flags: flags, payload: payload)
  }
}

extension Frame {
  var wire: [UInt8] {
    var wire: [UInt8] = []
    FrameHeader(length: UInt32(payload.count), streamID: streamID, type: type, flags: flags).append(to: &wire)
    return wire + payload
  }
}
