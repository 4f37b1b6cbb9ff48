public import ArgumentParser
import Foundation

/// What the server of each peer can be told.
public struct ServerOptions: ParsableArguments {
  /// Where to listen.
  @Option(help: "The port on 127.0.0.1; 0 is any that is free.") public var port = 0

  /// So that no server is left behind by a driver that is killed.
  @Flag(help: "End when standard input ends.") public var endsWithInput = false

  /// Made by the parser.
  public init() {}

  /// Says where the server listens, in a line on standard output, and ends the process with standard input if it is to.
  public func serving(port: Int) {
    FileHandle.standardOutput.write(Data("\(port)\n".utf8))
    guard endsWithInput else { return }
    Thread.detachNewThread {
      var byte: UInt8 = 0
      // Not a FileHandle: a signal that interrupts one ends the process.
      while read(STDIN_FILENO, &byte, 1) > 0 || errno == EINTR { errno = 0 }
      Foundation.exit(0)
    }
  }
}

/// What the client of each peer is told.
public struct ClientOptions: ParsableArguments {
  /// Where the server listens.
  @Option(help: "The server's port on 127.0.0.1.") public var port: Int

  /// Whose CPU time is counted.
  @Option(help: "The server's process.") public var serverPID: Int32

  /// Made by the parser.
  public init() {}

  /// Prints a row as a line of JSON.
  public func print(_ row: BenchRow) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    FileHandle.standardOutput.write(try encoder.encode(row) + Data("\n".utf8))
  }
}

/// Something went wrong; printed as it is.
public struct BenchError: Error, CustomStringConvertible {
  /// What went wrong.
  public let description: String

  /// An error that says this.
  public init(_ description: String) { self.description = description }
}
