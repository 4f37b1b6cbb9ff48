import Glibc

/// A blocking connection to a loopback port, for saying to a server what no client would, and a request by which whole answers
/// are had. Nothing waits longer than half a minute.
public final class RawConnection {
  /// The system refuses, or the other end says nothing for half a minute.
  public struct Failure: Error {
    /// What could not be done, and why.
    public let reason: String
    init(_ what: String) { reason = "\(what): \(String(cString: strerror(errno)))" }
  }

  /// An answer of HTTP.
  public struct Answer: Sendable, Hashable {
    /// The status code; 0 if there was no answer.
    public var status = 0
    /// The headers by their names in lower case.
    public var headers: [String: String] = [:]
    /// What follows them.
    public var body = ""
  }

  private let descriptor: Int32

  /// Connects to a port of 127.0.0.1.
  public init(port: Int) throws(Failure) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var limit = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Failure("connect to port \(port)") }
  }

  deinit { close(descriptor) }

  /// Sends text; what the other end does not take any more is not sent.
  public func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// What comes until the other end closes the connection.
  public func rest() throws(Failure) -> String {
    var all: [UInt8] = []
    while let bytes = try next() { all += bytes }
    return String(decoding: all, as: UTF8.self)
  }

  /// The next answer, of which the length is told; an answer to HEAD has no body.
  public func answer(hasBody: Bool = true) throws(Failure) -> Answer {
    var all: [UInt8] = []
    while true {
      let answer = Answer(all)
      let length = hasBody ? answer.headers["content-length"].flatMap { Int($0) } : 0
      if let length, answer.status != 0, answer.body.utf8.count >= length { return answer }
      guard let bytes = try next() else { return Answer(all) }
      all += bytes
    }
  }

  private func next() throws(Failure) -> [UInt8]? {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    // A connection that is reset has ended too.
    if count == 0 || count < 0 && errno == ECONNRESET { return nil }
    guard count > 0 else { throw Failure("receive") }
    return Array(chunk[..<count])
  }

  /// Asks for a page, on a connection of its own.
  public static func request(
    _ path: String, method: String = "GET", port: Int
  ) throws(Failure) -> Answer {
    let connection = try RawConnection(port: port)
    connection.send("\(method) \(path) HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
    return Answer(Array(try connection.rest().utf8))
  }
}

extension RawConnection.Answer {
  /// Reads what has come so far; without a whole head there is no answer yet.
  fileprivate init(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let range = text.firstRange(of: "\r\n\r\n") else { return }
    let lines = text[..<range.lowerBound].split(separator: "\r\n")
    status = Int(lines[0].split(separator: " ")[1]) ?? 0
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
    }
    body = String(text[range.upperBound...])
  }
}
