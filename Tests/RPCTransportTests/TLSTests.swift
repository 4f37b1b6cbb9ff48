import Foundation
import RPC
import RPCTestSupport
import RPCTransport
import Testing
import TimeAndChance

/// Over TLS both sides know who the other is; whoever cannot show that gets no call through, and is told why; certificates
/// can be renewed while a server runs.
@Suite(.timeLimit(.minutes(1))) struct TLSTests {
  private let authority: TestAuthority

  init() async throws { authority = try await TestAuthority() }

  /// Answers with who calls.
  private static let whoCalls = TestService([
    .unary(TestService.unary) { (_: TestMessage, context) in TestMessage(context.peer.identity ?? "nobody") }
  ])

  /// Runs a server with `serverFiles`; `body` gets its endpoint.
  private func serve(
    _ credentials: TLSCredentials?, _ body: (Endpoint, EventLoops) async throws -> Void
  ) async throws {
    let loops = EventLoops()
    let server = TCPServer(router: TestService.router(Self.whoCalls), loops: loops, tls: credentials)
    let endpoint = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))
    do {
      try await body(endpoint, loops)
    } catch {
      await server.shutdown()
      await loops.shutdown()
      throw error
    }
    await server.shutdown()
    await loops.shutdown()
  }

  private func whoAmI(_ connector: TCPConnector) async throws -> String {
    let connection = try await connector.connect()
    defer { connection.close() }
    let reply: TestMessage = try await SingleConnectionChannel(connection).unary(
      TestService.unary, TestMessage(), options: CallOptions(timeout: .seconds(10)))
    return reply.text
  }

  private func failure(_ connector: TCPConnector) async -> String {
    do {
      return "served as " + (try await whoAmI(connector))
    } catch let error as RPCError {
      #expect(error.code == .unavailable)
      return error.message
    } catch {
      return "\(error)"
    }
  }

  @Test func aServerKnowsItsClient() async throws {
    let server = try TLSCredentials(try await authority.issue("coordinator"))
    try await serve(server) { endpoint, loops in
      for name in ["signer", "operator"] {
        let client = try TLSCredentials(try await authority.issue(name))
        let identity = try await whoAmI(TCPConnector(endpoint: endpoint, loops: loops, tls: client))
        #expect(identity == "spiffe://chancery/\(name)")
      }
    }
  }

  @Test func aUnixSocketMayHaveTLS() async throws {
    let loops = EventLoops()
    let server = TCPServer(
      router: TestService.router(Self.whoCalls), loops: loops,
      tls: try TLSCredentials(try await authority.issue("logger")))
    let endpoint = try await server.listen(at: .unix(path: Carrier.socketPath()))
    let client = try TLSCredentials(try await authority.issue("signer"))
    let identity = try await whoAmI(TCPConnector(endpoint: endpoint, loops: loops, tls: client))
    #expect(identity == "spiffe://chancery/signer")
    await server.shutdown()
    await loops.shutdown()
  }

  @Test func aNameMustBeThatOfTheCertificate() async throws {
    let server = try TLSCredentials(
      try await authority.issue("coordinator", names: "DNS:elsewhere.example,IP:10.0.0.1"))
    let client = try TLSCredentials(try await authority.issue("signer"))
    try await serve(server) { endpoint, loops in
      guard case .tcp(_, let port) = endpoint else { return }
      for host in ["127.0.0.1", "localhost"] {
        let connector = TCPConnector(endpoint: .tcp(host: host, port: port), loops: loops, tls: client)
        let message = await failure(connector)
        #expect(message.contains("its certificate is for another name or address"), "\(message)")
      }
    }
  }

  /// A server tells of those whom it does not let in.
  @Test func refusedPeersAreTold() async throws {
    let refused = Watched<[String]>([])
    let loops = EventLoops()
    let server = TCPServer(
      router: TestService.router(Self.whoCalls), loops: loops,
      tls: try TLSCredentials(try await authority.issue("coordinator"))
    ) { address, reason in
      refused.update { $0.append("\(address.hasPrefix("127.0.0.1:")) \(reason)") }
    }
    let endpoint = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))
    let other = try await TestAuthority()
    var mixed = try await other.issue("mixed")
    mixed.authority = authority.path("ca.crt")
    _ = await failure(TCPConnector(endpoint: endpoint, loops: loops, tls: try TLSCredentials(mixed)))
    await refused.wait { $0.count == 1 }
    _ = await failure(TCPConnector(endpoint: endpoint, loops: loops))
    await refused.wait { $0.count == 2 }
    #expect(refused.value[0] == "true its certificate is not from an authority that is trusted here, or has expired")
    #expect(refused.value[1].hasPrefix("true the handshake failed, perhaps because the client has no TLS"))
    await server.shutdown()
    await loops.shutdown()
  }

  @Test func strangersAreRefusedBothWays() async throws {
    let other = try await TestAuthority()
    let ours = try TLSCredentials(try await authority.issue("coordinator"))
    let theirs = try TLSCredentials(try await other.issue("signer"))
    try await serve(ours) { endpoint, loops in
      let message = await failure(TCPConnector(endpoint: endpoint, loops: loops, tls: theirs))
      #expect(message.contains("not from an authority that is trusted here"), "\(message)")
      // A client that trusts us, and that we do not know.
      var mixed = try await other.issue("mixed")
      mixed.authority = authority.path("ca.crt")
      let stranger = TCPConnector(endpoint: endpoint, loops: loops, tls: try TLSCredentials(mixed))
      let refused = await failure(stranger)
      #expect(!refused.hasPrefix("served"), "\(refused)")
    }
  }

  @Test func expiredCertificatesAreRefused() async throws {
    let server = try TLSCredentials(try await authority.issue("coordinator", days: -1))
    let client = try TLSCredentials(try await authority.issue("signer"))
    try await serve(server) { endpoint, loops in
      let message = await failure(TCPConnector(endpoint: endpoint, loops: loops, tls: client))
      #expect(message.contains("has expired"), "\(message)")
    }
  }

  @Test func oneSideWithoutTLSIsToldSo() async throws {
    let credentials = try TLSCredentials(try await authority.issue("coordinator"))
    try await serve(credentials) { endpoint, loops in
      let message = await failure(TCPConnector(endpoint: endpoint, loops: loops))
      #expect(!message.hasPrefix("served"), "\(message)")
    }
    try await serve(nil) { endpoint, loops in
      let message = await failure(TCPConnector(endpoint: endpoint, loops: loops, tls: credentials))
      #expect(message.contains("TLS"), "\(message)")
    }
  }

  /// New connections use a renewed certificate; a file that cannot be used is reported and changes nothing.
  @Test func certificatesAreRenewedWithoutARestart() async throws {
    let files = try await authority.issue("signer", file: "client")
    let reloads = Watched<[String]>([])
    let client = try TLSCredentials(files) { result in
      reloads.update { reloads in
        switch result {
        case .success: reloads.append("ok")
        case .failure(let error): reloads.append(error.description)
        }
      }
    }
    try await serve(try TLSCredentials(try await authority.issue("coordinator"))) { endpoint, loops in
      let connector = TCPConnector(endpoint: endpoint, loops: loops, tls: client)
      let before = try await whoAmI(connector)
      _ = try await authority.issue("operator", file: "client")
      let after = try await whoAmI(connector)
      #expect([before, after] == ["spiffe://chancery/signer", "spiffe://chancery/operator"])
      try Data("garbage".utf8).write(to: URL(filePath: files.certificate))
      let still = try await whoAmI(connector)
      #expect(still == "spiffe://chancery/operator")
      #expect(reloads.value == ["ok", "\(files.certificate): this is no certificate in PEM form"])
    }
  }

  @Test func unusableFilesAreNamed() async throws {
    let files = try await authority.issue("signer")
    func message(_ change: (inout TLSFiles) -> Void) -> String? {
      var files = files
      change(&files)
      return #expect(throws: TLSError.self) { try TLSCredentials(files) }?.description
    }
    let missing = "/nonexistent/x"
    #expect(
      message { $0.certificate = missing } == "\(missing): the certificate cannot be read: No such file or directory")
    #expect(message { $0.key = missing } == "\(missing): the private key cannot be read: No such file or directory")
    #expect(message { $0.authority = missing } == "\(missing): the authority cannot be read: No such file or directory")
    #expect(message { $0.key = files.certificate } == "\(files.certificate): this is no private key in PEM form")
    #expect(message { $0.certificate = files.key }?.contains("certificate") == true)
    let other = try await authority.issue("other")
    #expect(message { $0.key = other.key } == "\(other.key) is not the private key of \(files.certificate)")
  }

  @Test func withTLSAServerMayListenEverywhere() async throws {
    let loops = EventLoops()
    let server = TCPServer(
      router: TestService.router(Self.whoCalls), loops: loops,
      tls: try TLSCredentials(try await authority.issue("logger")))
    let endpoint = try await server.listen(at: .tcp(host: "0.0.0.0", port: 0))
    guard case .tcp(_, let port) = endpoint else { return }
    let client = try TLSCredentials(try await authority.issue("signer"))
    let identity = try await whoAmI(
      TCPConnector(endpoint: .tcp(host: "127.0.0.1", port: port), loops: loops, tls: client))
    #expect(identity == "spiffe://chancery/signer")
    await server.shutdown()
    await loops.shutdown()
  }
}
