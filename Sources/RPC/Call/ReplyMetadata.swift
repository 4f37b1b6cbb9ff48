import Synchronization

/// The metadata that travels with the reply of a call: headers before its first message, trailers after its last.
///
/// A handler fills it in (`ServerContext.reply`), a caller that passed one (`CallOptions.received`) reads it. It reaches
/// callers whose connection has the extensions of ttrpc; plain peers have no place for it.
public final class ReplyMetadata: Sendable {
  private struct State {
    var headers = Metadata()
    var trailers = Metadata()
    var hasSentHeaders = false
  }

  private let state = Mutex(State())

  /// No metadata yet.
  public init() {}

  /// What comes before the first message. On a server it travels with that message, or with the end of a call that has none;
  /// what is set later is not sent.
  public var headers: Metadata {
    get { state.withLock { $0.headers } }
    set { state.withLock { $0.headers = newValue } }
  }

  /// What comes with the end of the call, whether it succeeds or not.
  public var trailers: Metadata {
    get { state.withLock { $0.trailers } }
    set { state.withLock { $0.trailers = newValue } }
  }

  /// Takes over what another one has received.
  func take(_ other: ReplyMetadata) {
    let (headers, trailers) = other.state.withLock { ($0.headers, $0.trailers) }
    state.withLock { ($0.headers, $0.trailers) = (headers, trailers) }
  }

  /// The headers that are to be sent now; nil if they were, or if there are none.
  func takeUnsentHeaders() -> Metadata? {
    state.withLock { state in
      defer { state.hasSentHeaders = true }
      return state.hasSentHeaders || state.headers.isEmpty ? nil : state.headers
    }
  }
}
