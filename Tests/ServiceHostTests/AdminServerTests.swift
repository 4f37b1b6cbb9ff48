import NIOCore
import RPCTransport
import Synchronization
import TestWorld
import Testing

@testable import ServiceHost

/// The admin port over real sockets: HTTP as clients speak it, several requests on a connection, and its bounds.
@Suite struct AdminServerTests {
  /// Lends the port of a server that tells what it was asked.
  private func withServer(
    _ limits: AdminServer.Limits = AdminServer.Limits(), _ body: (Int) async throws -> Void
  ) async throws {
    let loops = EventLoops()
    let server = try await AdminServer(at: .tcp(host: "127.0.0.1", port: 0), on: loops, limits: limits) { request in
      AdminResponse(status: request.method == "POST" ? 405 : 200, body: "\(request.method) \(request.path)\n")
    }
    guard case .tcp(_, let port) = server.address else { preconditionFailure("not the address that was asked for") }
    try await body(port)
    await server.close()
    #expect(throws: RawConnection.Failure.self) { try RawConnection(port: port) }
    await loops.shutdown()
  }

  @Test func answers() async throws {
    try await withServer { port in
      let answer = try RawConnection.request("/a?b", port: port)
      #expect(answer.status == 200 && answer.body == "GET /a\n")
      #expect(
        answer.headers == [
          "content-type": "text/plain; charset=utf-8", "content-length": "7", "cache-control": "no-store",
          "x-content-type-options": "nosniff", "connection": "close",
        ])
      let refused = try RawConnection.request("/", method: "POST", port: port)
      #expect(refused.status == 405 && refused.headers["allow"] == "GET, HEAD")
    }
  }

  @Test func aConnectionServesManyRequests() async throws {
    try await withServer { port in
      let connection = try RawConnection(port: port)
      for index in 0..<100 {
        connection.send("GET /\(index) HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try connection.answer().body == "GET /\(index)\n")
      }
      // The length is that of the page, of which nothing is sent.
      connection.send("HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n")
      let head = try connection.answer(hasBody: false)
      #expect(head.status == 200 && head.headers["content-length"] == "8" && head.body.isEmpty)
      connection.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
      let rest = try connection.rest()
      let first = try #require(rest.firstRange(of: "GET /1\n")), second = try #require(rest.firstRange(of: "GET /2\n"))
      #expect(first.upperBound < second.lowerBound && !rest.contains("HEAD"))
    }
  }

  @Test func oldClientsAreAnswered() async throws {
    try await withServer { port in
      let connection = try RawConnection(port: port)
      connection.send("GET /old HTTP/1.0\r\n\r\n")
      let answer = try connection.rest()
      #expect(answer.hasPrefix("HTTP/1.0 200 OK\r\n") && answer.hasSuffix("\r\n\r\nGET /old\n"))
    }
  }

  @Test(arguments: ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n", "\u{16}\u{3}\u{1}\r\n"])
  func whatIsNoHTTPIsRefused(_ text: String) async throws {
    try await withServer { port in
      let connection = try RawConnection(port: port)
      connection.send(text)
      let answer = try connection.rest()
      #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(answer)")
      #expect(try RawConnection.request("/", port: port).status == 200)
    }
  }

  // MARK: - Bounds

  @Test func aLongRequestIsCutOff() async throws {
    try await withServer { port in
      let long = String(repeating: "x", count: 20_000)
      for text in [
        "GET /\(long) HTTP/1.1\r\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: \(long)\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n\(long)",
      ] {
        let connection = try RawConnection(port: port)
        connection.send(text)
        #expect(try connection.rest() == "")
      }
      // Less is read and not looked at.
      let connection = try RawConnection(port: port)
      connection.send("GET /body HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde")
      #expect(try connection.answer().body == "GET /body\n")
    }
  }

  @Test func aSlowRequestIsCutOff() async throws {
    var limits = AdminServer.Limits()
    limits.requestTime = .milliseconds(20)
    try await withServer(limits) { port in
      let connection = try RawConnection(port: port)
      connection.send("GET / HTTP/1.1\r\n")
      #expect(try connection.rest() == "")
    }
  }

  @Test func aSilentConnectionIsClosed() async throws {
    var limits = AdminServer.Limits()
    limits.idleTime = .milliseconds(500)
    try await withServer(limits) { port in
      let silent = try RawConnection(port: port)
      let connection = try RawConnection(port: port)
      connection.send("GET /once HTTP/1.1\r\nhost: a\r\n\r\n")
      #expect(try connection.answer().body == "GET /once\n")
      #expect(try connection.rest() == "")
      #expect(try silent.rest() == "")
    }
  }

  @Test func thereAreSoManyConnections() async throws {
    try await withServer { port in
      func isServed(_ connection: RawConnection) throws -> Bool {
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        return try connection.answer().status == 200
      }
      var connections: [RawConnection] = []
      for _ in 0..<64 {
        connections.append(try RawConnection(port: port))
        #expect(try isServed(connections.last!))
      }
      #expect(try !isServed(RawConnection(port: port)))
      // Those that are there go on, and one that leaves makes room.
      #expect(try isServed(connections[0]))
      connections.removeLast()
      let limit = ContinuousClock.now + .seconds(30)
      while try !isServed(RawConnection(port: port)) { try #require(ContinuousClock.now < limit) }
    }
  }

  @Test func openConnectionsHoldNothingUp() async throws {
    var connections: [RawConnection] = []
    try await withServer { port in
      connections = try (0..<3).map { _ in try RawConnection(port: port) }
      connections[0].send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      #expect(try connections[0].answer().status == 200)
      connections[1].send("GET / HT")
    }
    for connection in connections { #expect(try connection.rest() == "") }
  }

  @Test func aPortInUseIsNamed() async throws {
    try await withServer { port in
      let loops = EventLoops()
      let error = await #expect(throws: AdminPortError.self) {
        _ = try await AdminServer(at: .tcp(host: "127.0.0.1", port: port), on: loops) { _ in
          AdminResponse(status: 200, body: "")
        }
      }
      #expect(
        error?.description.hasPrefix(
          "the admin port (--admin-listen): cannot listen on 127.0.0.1:\(port): the address is in use")
          == true)
      await loops.shutdown()
    }
  }

  @Test func itMayBeReachedFromElsewhere() async throws {
    let loops = EventLoops()
    let server = try await AdminServer(at: .tcp(host: "0.0.0.0", port: 0), on: loops) { _ in
      AdminResponse(status: 200, body: "ok\n")
    }
    guard case .tcp(_, let port) = server.address else { return }
    #expect(try RawConnection.request("/", port: port).body == "ok\n")
    await server.close()
    await loops.shutdown()
  }
}
