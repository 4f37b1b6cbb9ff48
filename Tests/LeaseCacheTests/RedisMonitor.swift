import Glibc
import LocalServers
import RedisDriver
import Testing

/// Sees what clients send to a server, as `redis-cli MONITOR` does.
struct RedisMonitor: ~Copyable {
  private let descriptor: Int32
  private var unread: [UInt8] = []

  /// Begins to watch.
  init(_ server: PrivateRedis) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(server.socketPath.utf8)) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(result == 0)
    let command = Array("MONITOR\r\n".utf8)
    try #require(write(descriptor, command, command.count) == command.count)
    _ = try readLine(containing: "+OK")
  }

  deinit { close(descriptor) }

  /// The first words of the commands that clients have sent since the last call; not those that scripts made of them.
  mutating func commands(_ pool: RedisPool) async throws -> [String] {
    _ = try await pool.command(["ECHO", "end of watch"])
    var commands: [String] = []
    while true {
      let line = try readLine(containing: "")
      if line.contains("end of watch") { return commands }
      if line.contains(" lua] ") { continue }
      // A line is: +time [database address] "COMMAND" "argument" …
      let words = line.split(separator: "\"")
      commands.append(String(try #require(words.dropFirst().first)))
    }
  }

  private mutating func readLine(containing text: String) throws -> String {
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: unread[..<end], as: UTF8.self)
        unread.removeSubrange(...end)
        if text.isEmpty || line.contains(text) { return line }
        continue
      }
      var buffer = [UInt8](repeating: 0, count: 65536)
      let count = read(descriptor, &buffer, buffer.count)
      try #require(count > 0)
      unread += buffer[..<count]
    }
  }
}
