@testable import RPC

extension Frame {
  var header: FrameHeader {
    FrameHeader(length: UInt32(payload.count), streamID: streamID, type: type, flags: flags)
  }

  /// The frame as it travels.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    return bytes + payload
  }
}
