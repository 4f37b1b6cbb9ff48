import RPCTransport
import Testing

/// Addresses are read and written alike; what could be misread is refused with a reason; only loopback counts as local.
@Suite struct EndpointTests {
  @Test(arguments: [
    ("127.0.0.1:7000", Endpoint.tcp(host: "127.0.0.1", port: 7000)), ("localhost:0", .tcp(host: "localhost", port: 0)),
    ("db.example.org:65535", .tcp(host: "db.example.org", port: 65535)), ("[::1]:80", .tcp(host: "::1", port: 80)),
    ("unix:/run/chancery.sock", .unix(path: "/run/chancery.sock")), ("unix:relative", .unix(path: "relative")),
  ]) func readAndWritten(text: String, endpoint: Endpoint) throws {
    #expect(try Endpoint(parsing: text) == endpoint)
    #expect("\(endpoint)" == text)
  }

  @Test func withoutAHostItIsLoopback() throws {
    #expect(try Endpoint(parsing: ":7000") == .tcp(host: "127.0.0.1", port: 7000))
  }

  @Test(arguments: [
    "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:+80", "127.0.0.1:65536", "127.0.0.1: 80",
    "127.0.0.1:99999999999999999999", "::1:80", "fe80::1", "[::1]", "[::1", "a b:80", "http://a:80", "a]:80", "ä:80",
    "a\n:80", "unix:", "unix:a\0b", "unix:" + String(repeating: "x", count: 108), "127.0.0.1:٣",
  ]) func refused(text: String) {
    let error = #expect(throws: EndpointError.self) { try Endpoint(parsing: text) }
    #expect(error?.text == text && error.map { "\($0)".hasPrefix("address '") } == true)
  }

  @Test func theLongestPath() throws {
    let path = String(repeating: "x", count: 107)
    #expect(try Endpoint(parsing: "unix:" + path) == .unix(path: path))
  }

  @Test(arguments: [
    ("127.0.0.1:1", true), ("127.1.2.3:1", true), ("localhost:1", true), ("[::1]:1", true),
    ("[0:0:0:0:0:0:0:1]:1", true),
    ("unix:/x", true), ("0.0.0.0:1", false), ("10.0.0.1:1", false), ("128.0.0.1:1", false), ("[::]:1", false),
    ("[fe80::1]:1", false), ("[::ffff:10.0.0.1]:1", false), ("example.org:1", false),
    ("127.0.0.1.example.org:1", false),
    ("127.1:1", false), ("1270.0.1:1", false), ("localhost.example.org:1", false),
  ]) func local(text: String, isLocal: Bool) throws {
    #expect(try Endpoint(parsing: text).isLocal == isLocal)
  }
}
