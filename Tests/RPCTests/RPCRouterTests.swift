import RPCTestSupport
import Testing

@testable import RPC

/// A method is found by both its names; an unknown one is told apart from an unknown service; errors become what their
/// caller may see.
@Suite struct RPCRouterTests {
  private static func service(_ names: [(String, String)]) -> TestService {
    TestService(
      names.map { service, method in
        .unary(MethodDescriptor(service: service, method: method, shape: .unary)) { (request: TestMessage, _) in request
        }
      })
  }

  private let router = RPCRouter(
    services: [service([("a.B", "C"), ("a.B", "D")]), service([("a", "B.C"), ("z.Z", "C")])]
  ) { _, _ in }

  @Test(arguments: [("a.B", "C"), ("a.B", "D"), ("a", "B.C"), ("z.Z", "C")]) func found(service: String, method: String)
    throws
  {
    let handler = try router.handler(of: MethodName(service: service, method: method))
    #expect(handler.method.service == service && handler.method.method == method)
  }

  @Test(arguments: [
    ("a.C", "C", "there is no service 'a.C' here"), ("", "", "there is no service '' here"),
    ("a.B", "E", "service 'a.B' has no method 'E'"), ("a.B", "", "service 'a.B' has no method ''"),
    ("a.b", "C", "there is no service 'a.b' here"), ("a.BC", "", "there is no service 'a.BC' here"),
  ]) func missing(service: String, method: String, message: String) {
    let error = RPCError(.unimplemented, message)
    #expect(throws: error) { try router.handler(of: MethodName(service: service, method: method)) }
  }

  @Test func namesThatAreNoText() {
    let error = #expect(throws: RPCError.self) {
      try router.handler(of: MethodName(service: [0xFF], method: [0x41]))
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test func servicesAreListed() { #expect(router.serviceNames == ["a", "a.B", "z.Z"]) }

  @Test func servingTwiceIsOurMistake() async {
    await #expect(processExitsWith: .failure) {
      _ = TestService.router(TestService.echo, TestService.echo)
    }
  }

  @Test func aUnaryBodyNeedsAUnaryMethod() async {
    await #expect(processExitsWith: .failure) {
      _ = MethodHandler(TestService.bidirectional, body: .unary { _, _ in [] })
    }
  }

  private struct Secret: Error, CustomStringConvertible {
    let description = "password 123"
  }

  @Test func errorsOfHandlers() {
    let logged = Watched<[String]>([])
    let router = RPCRouter(services: []) { error, method in logged.update { $0.append("\(method.path) \(error)") } }
    let chosen = RPCError(.notFound, "no", details: [ErrorDetail(typeURL: "t", value: [1])])
    #expect(router.status(of: chosen, in: TestService.unary) == chosen)
    #expect(router.status(of: CancellationError(), in: TestService.unary).code == .cancelled)
    #expect(logged.value.isEmpty)
    let hidden = router.status(of: Secret(), in: TestService.unary)
    #expect(hidden.code == .unknown && !hidden.message.contains("password"))
    #expect(logged.value == ["/test.v1.Test/Unary password 123"])
  }
}
