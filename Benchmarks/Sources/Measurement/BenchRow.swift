/// How one kind of call did; coded as `chancery bench rpc -o json` does.
public struct BenchRow: Codable, Sendable {
  /// What is measured.
  public var kind: CallKind
  /// Calls, or messages of a stream, per second.
  public var messagesPerSecond: Double
  /// Latencies in microseconds; only of calls with one reply.
  public var p50: Double?
  /// See `p50`.
  public var p99: Double?
  /// CPU seconds of the client for 100,000 messages.
  public var clientCPU: Double
  /// CPU seconds of the server for 100,000 messages.
  public var serverCPU: Double

  enum CodingKeys: String, CodingKey {
    case messagesPerSecond = "messages_per_second"
    case p50 = "p50_us"
    case p99 = "p99_us"
    case clientCPU = "client_cpu_seconds_per_100k"
    case serverCPU = "server_cpu_seconds_per_100k"
  }

  /// A row without latencies.
  public init(kind: CallKind, messagesPerSecond: Double, clientCPU: Double, serverCPU: Double) {
    self.kind = kind
    self.messagesPerSecond = messagesPerSecond
    self.clientCPU = clientCPU
    self.serverCPU = serverCPU
  }

  /// The row, its kind in the same object.
  public init(from decoder: any Decoder) throws {
    kind = try CallKind(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    messagesPerSecond = try values.decode(Double.self, forKey: .messagesPerSecond)
    p50 = try values.decodeIfPresent(Double.self, forKey: .p50)
    p99 = try values.decodeIfPresent(Double.self, forKey: .p99)
    clientCPU = try values.decode(Double.self, forKey: .clientCPU)
    serverCPU = try values.decode(Double.self, forKey: .serverCPU)
  }

  /// The row, its kind in the same object.
  public func encode(to encoder: any Encoder) throws {
    try kind.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(messagesPerSecond.rounded(), forKey: .messagesPerSecond)
    try values.encodeIfPresent(p50?.rounded(), forKey: .p50)
    try values.encodeIfPresent(p99?.rounded(), forKey: .p99)
    try values.encode(clientCPU.rounded(digits: 3), forKey: .clientCPU)
    try values.encode(serverCPU.rounded(digits: 3), forKey: .serverCPU)
  }
}

/// What a row measures: rows of the same kind are compared.
public struct CallKind: Hashable, Codable, Sendable {
  /// The shape: `unary`, `server stream`, `client stream` or `bidirectional`, where a message goes forth and back before
  /// the next.
  public var call: String
  /// The size of a message.
  public var bytes: Int
  /// How many calls are made at a time.
  public var inFlight: Int

  enum CodingKeys: String, CodingKey {
    case call, bytes
    case inFlight = "in_flight"
  }

  /// One kind.
  public init(_ call: String, bytes: Int, inFlight: Int = 1) {
    self.call = call
    self.bytes = bytes
    self.inFlight = inFlight
  }
}

extension Double {
  /// With at most so many digits after the point.
  public func rounded(digits: Int) -> Double {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    return (self * scale).rounded() / scale
  }
}
