import Glibc
import RPCTransport

@testable import RPC
@testable import RPCTestSupport

/// A blocking TCP socket, for what our client would never send. A read that takes longer than ten seconds fails.
final class RawSocket {
  struct Failure: Error {
    let call: String
    let code: Int32
  }

  private let descriptor: Int32
  private var decoder = FrameDecoder(maximumPayload: 8 << 20)
  private var events: [FrameDecoder.Event] = []

  /// A socket that is not connected.
  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    var enabled: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &enabled, socklen_t(MemoryLayout<Int32>.size))
  }

  /// A socket connected to a server on loopback.
  convenience init(_ endpoint: Endpoint) throws {
    try self.init()
    try connect(to: endpoint)
  }

  deinit { Glibc.close(descriptor) }

  func connect(to endpoint: Endpoint) throws {
    guard case .tcp(_, let port) = endpoint else { throw Failure(call: "a TCP endpoint", code: 0) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Failure(call: "connect", code: errno) }
  }

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(call: "send", code: errno) }
      sent += count
    }
  }

  func send(_ frames: Frame...) throws { try send(frames.flatMap(\.bytes)) }

  /// The next frame; nil when the peer has closed.
  func receive() throws -> Frame? {
    while events.isEmpty {
      var buffer = [UInt8](repeating: 0, count: 65536)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count == 0 { return nil }
      guard count > 0 else {
        if errno == ECONNRESET { return nil }
        throw Failure(call: "recv", code: errno)
      }
      let received = buffer[..<count]
      events = decoder.decode(received.span.bytes)
    }
    guard case .frame(let frame) = events.removeFirst() else { throw Failure(call: "a frame below 8 MiB", code: 0) }
    return frame
  }

  /// The code of the next frame, which is a response on `id`.
  func response(on id: UInt32) throws -> StatusCode {
    guard let frame = try receive(), frame.type == .response, frame.streamID == StreamID(id) else {
      throw Failure(call: "a response on stream \(id)", code: 0)
    }
    return try ResponseEnvelope(parsing: frame.payload[...], metadataLimit: 16_384).error?.code ?? .ok
  }

  /// Says that nothing more will be sent.
  func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Makes closing the socket reset the connection.
  func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }
}

extension Frame {
  /// A request as a plain client sends it.
  static func request(
    _ method: MethodDescriptor, on id: UInt32, _ payload: [UInt8] = [1], flags: FrameFlags = []
  ) -> Frame {
    var bytes: [UInt8] = []
    RequestEnvelope(name: method.name, payload: payload[...]).append(to: &bytes)
    return Frame(streamID: StreamID(id), type: .request, flags: flags, payload: bytes)
  }
}
