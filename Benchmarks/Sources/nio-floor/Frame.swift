import Measurement
import NIOCore

/// A frame of ttrpc: a header of ten bytes and a payload.
struct Frame {
  static let headerBytes = 10

  enum Kind: UInt8 {
    case request = 1
    case response = 2
  }

  var stream: UInt32
  var payload: ByteBuffer
}

/// Cuts frames out of the bytes of a connection. It looks at no type and no flag.
struct FrameDecoder: ByteToMessageDecoder {
  typealias InboundOut = Frame

  func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
    guard let length: UInt32 = buffer.getInteger(at: buffer.readerIndex),
      buffer.readableBytes >= Frame.headerBytes + Int(length)
    else { return .needMoreData }
    buffer.moveReaderIndex(forwardBy: 4)
    guard let (stream, _) = buffer.readMultipleIntegers(as: (UInt32, UInt16).self),
      let payload = buffer.readSlice(length: Int(length))
    else { preconditionFailure("a whole frame is there") }
    context.fireChannelRead(wrapInboundOut(Frame(stream: stream, payload: payload)))
    return .continue
  }
}

/// What a client asks for.
enum Request {
  private static let service = "chancery.bench.Echo"
  private static let method = "Unary"
  /// The fields before the payload are the same in every call.
  private static let head: [UInt8] =
    [1 << 3 | 2, UInt8(service.utf8.count)] + Array(service.utf8) + [2 << 3 | 2, UInt8(method.utf8.count)]
    + Array(method.utf8)

  /// Reads the envelope as a server must: whose method is called, and with what.
  static func payload(of envelope: ByteBuffer) throws -> ByteBuffer {
    var envelope = envelope
    var (service, method, payload) = ("", "", ByteBuffer())
    while envelope.readableBytes > 0 {
      let tag = try envelope.readVarint()
      let value = try envelope.readVarint()
      // `timeout_nano` is the only field without a length.
      guard tag & 7 == 2 else { continue }
      guard var field = envelope.readSlice(length: value) else { throw BenchError("an envelope is cut short") }
      switch tag >> 3 {
      case 1: service = field.readString(length: field.readableBytes) ?? ""
      case 2: method = field.readString(length: field.readableBytes) ?? ""
      case 3: payload = field
      default: break
      }
    }
    guard service == Self.service, method == Self.method else { throw BenchError("no method \(service)/\(method)") }
    return payload
  }

  static func frame(stream: UInt32, payload: ByteBuffer, allocator: ByteBufferAllocator) -> ByteBuffer {
    allocator.frame(.request, stream: stream, head: head, field: 3, payload: payload)
  }
}

/// What a server answers.
enum Response {
  /// Of the envelope, only that it holds a payload is looked at.
  static func payload(of envelope: ByteBuffer) throws -> ByteBuffer {
    var envelope = envelope
    guard try envelope.readVarint() == 2 << 3 | 2, let payload = envelope.readSlice(length: try envelope.readVarint())
    else { throw BenchError("an answer without a payload") }
    return payload
  }

  static func frame(stream: UInt32, payload: ByteBuffer, allocator: ByteBufferAllocator) -> ByteBuffer {
    allocator.frame(.response, stream: stream, head: [], field: 2, payload: payload)
  }
}

extension ByteBufferAllocator {
  fileprivate func frame(
    _ kind: Frame.Kind, stream: UInt32, head: [UInt8], field: UInt8, payload: ByteBuffer
  ) -> ByteBuffer {
    // A tag and a varint take at most 11 bytes.
    var frame = buffer(capacity: Frame.headerBytes + head.count + 11 + payload.readableBytes)
    frame.writeMultipleIntegers(UInt32(0), stream, kind.rawValue, UInt8(0))
    frame.writeBytes(head)
    frame.writeInteger(field << 3 | 2)
    frame.writeVarint(payload.readableBytes)
    frame.writeImmutableBuffer(payload)
    frame.setInteger(UInt32(frame.writerIndex - Frame.headerBytes), at: 0)
    return frame
  }
}

extension ByteBuffer {
  fileprivate mutating func readVarint() throws -> Int {
    var (value, shift) = (0, 0)
    while let byte: UInt8 = readInteger(), shift < 63 {
      value |= Int(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw BenchError("a number is cut short")
  }

  fileprivate mutating func writeVarint(_ value: Int) {
    var value = value
    while value >= 0x80 {
      writeInteger(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    writeInteger(UInt8(value))
  }
}
