import Synchronization

/// Sees calls of every shape on their way, on a client (`InterceptingChannel`) or a server (`RPCRouter`): to add metadata, to
/// refuse, to measure, to log. Several see a call in the order of their list.
public protocol CallInterceptor: Sendable {
  /// A call begins. Metadata may be changed; throwing refuses the call. Returns who sees the rest of it, nil for nobody.
  func intercept(_ call: inout CallStart) throws(RPCError) -> (any CallObserver)?
}

/// A call that begins.
public struct CallStart: Sendable {
  /// Which end of the call this is.
  public enum Side: Sendable, Hashable {
    case client
    case server
  }

  /// Which end of the call this is.
  public let side: Side
  /// The method called.
  public let method: MethodDescriptor
  /// The pairs that travel with the request.
  public var metadata: Metadata
  /// Who calls; nil on a client, which need not be connected yet.
  public let peer: PeerInfo?
}

/// Sees the rest of a call: its messages, which it may replace, and its end. On one call, messages of one direction come one
/// after another; those of both directions may come at the same time.
public protocol CallObserver: Sendable {
  /// A message is about to be sent. Throwing fails the attempt to send it.
  func willSend(_ message: inout [UInt8]) throws(RPCError)
  /// A message was received, and is about to be handed on. Throwing fails the attempt to read it.
  func didReceive(_ message: inout ArraySlice<UInt8>) throws(RPCError)
  /// The call has ended, with this error or well. Called once.
  func didEnd(_ error: RPCError?)
}

extension CallObserver {
  /// Leaves messages as they are.
  public func willSend(_ message: inout [UInt8]) throws(RPCError) {}
  /// Leaves messages as they are.
  public func didReceive(_ message: inout ArraySlice<UInt8>) throws(RPCError) {}
}

/// Those who see one call.
final class CallObservers: Sendable {
  private let observers: [any CallObserver]
  private let hasEnded = Atomic(false)

  /// Shows the beginning of a call to all; nil if nobody sees the rest. When one refuses, those before it see that end.
  static func begin(
    _ call: inout CallStart, _ interceptors: [any CallInterceptor]
  ) throws(RPCError) -> CallObservers? {
    var observers: [any CallObserver] = []
    for interceptor in interceptors {
      do throws(RPCError) {
        if let observer = try interceptor.intercept(&call) { observers.append(observer) }
      } catch {
        for observer in observers { observer.didEnd(error) }
        throw error
      }
    }
    return observers.isEmpty ? nil : CallObservers(observers)
  }

  private init(_ observers: [any CallObserver]) { self.observers = observers }

  func send(_ message: inout [UInt8]) throws(RPCError) {
    for observer in observers { try observer.willSend(&message) }
  }

  func receive(_ message: inout ArraySlice<UInt8>) throws(RPCError) {
    // The last to see what leaves is the first to see what comes.
    for observer in observers.reversed() { try observer.didReceive(&message) }
  }

  /// The first end counts: a call may be seen to end by several parts of a connection.
  func end(_ error: RPCError?) {
    if !hasEnded.exchange(true, ordering: .relaxed) { for observer in observers { observer.didEnd(error) } }
  }
}
