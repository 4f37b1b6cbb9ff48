public import ProtobufRuntime

/// The messages that come in on a call, one after another. One task at a time may read.
public struct RPCReader<Message: ProtobufMessage>: AsyncSequence, Sendable {
  private let source: any MessageSource
  private let isServer: Bool

  init(_ source: any MessageSource, isServer: Bool) {
    self.source = source
    self.isServer = isServer
  }

  /// The next message, nil at the end of the stream; throws how the call failed. A message that cannot be decoded is the
  /// sender's mistake: `INVALID_ARGUMENT` on a server, `INTERNAL` on a client.
  public func next() async throws(RPCError) -> Message? {
    guard let bytes = try await source.next() else { return nil }
    do {
      return try Message(protobuf: bytes)
    } catch {
      throw RPCError(isServer ? .invalidArgument : .internal, "\(Message.protobufName): \(error)")
    }
  }

  /// The next message as it came, for decoding it as a view.
  public func nextBytes() async throws(RPCError) -> ArraySlice<UInt8>? { try await source.next() }

  /// Reads with `for try await`.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let reader: RPCReader

    /// See `RPCReader.next`.
    public mutating func next() async throws -> Message? { try await reader.next() }

    /// See `RPCReader.next`.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Message? {
      try await reader.next()
    }
  }

  /// Makes the iterator of a `for` loop; all iterators take from the one stream.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: self) }
}

/// What a reader reads from: one direction of a call.
protocol MessageSource: Sendable {
  func next() async throws(RPCError) -> ArraySlice<UInt8>?
}
