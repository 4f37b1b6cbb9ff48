import RPC
import RPCTestSupport
import RPCTransport
import Testing
import TimeAndChance

/// Host names become addresses, one for each server, whose certificates are for the name.
@Suite(.timeLimit(.minutes(1))) struct DNSResolverTests {
  private func targets(of host: String) async throws -> [String] {
    let loops = EventLoops()
    let result = await Task { try await DNSResolver(host: host, port: 7, loops: loops).resolve().map(\.target) }.result
    await loops.shutdown()
    return try result.get()
  }

  @Test func namesBecomeAddresses() async throws {
    #expect(try await targets(of: "localhost").contains("127.0.0.1:7"))
    #expect(try await targets(of: "192.0.2.1") == ["192.0.2.1:7"])
    #expect(try await targets(of: "2001:db8::1") == ["[2001:db8::1]:7"])
  }

  @Test func anUnknownNameIsNamed() async throws {
    let error = await #expect(throws: RPCError.self) { try await targets(of: "nobody.invalid") }
    #expect(error?.code == .unavailable)
    #expect(error?.message.hasPrefix("'nobody.invalid' cannot be looked up: ") == true, "\(error?.message ?? "")")
  }

  /// The certificate has the name alone, not the address that is called.
  @Test func theCertificateIsForTheName() async throws {
    let authority = try await TestAuthority()
    let loops = EventLoops()
    let server = TCPServer(
      router: TestService.router(TestService.echo), loops: loops,
      tls: try TLSCredentials(try await authority.issue("coordinator", names: "DNS:localhost")))
    guard case .tcp(_, let port) = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0)) else { return }
    let client = try TLSCredentials(try await authority.issue("signer"))
    let channel = ClientChannel(
      resolver: DNSResolver(host: "localhost", port: port, loops: loops, tls: client), balancing: .roundRobin)
    let byAddress = ClientChannel(
      connectors: [TCPConnector(endpoint: .tcp(host: "127.0.0.1", port: port), loops: loops, tls: client)])
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await channel.run() }
      group.addTask { await byAddress.run() }
      let options = CallOptions(timeout: .seconds(20), waitForReady: true)
      do {
        let reply: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: options)
        #expect(reply == "x")
      } catch {
        Issue.record(error)
      }
      let error = await #expect(throws: RPCError.self) {
        let _: TestMessage = try await byAddress.unary(TestService.unary, TestMessage("x"), options: CallOptions())
      }
      #expect(error?.message.hasSuffix("its certificate is for another name or address") == true)
      group.cancelAll()
    }
    await server.shutdown()
    await loops.shutdown()
  }
}
