import Testing

@testable import RedisDriver

/// Proves which URLs are accepted and what they mean, that passwords are not shown, and which codes server errors get that no
/// test can provoke with certainty.
@Suite
struct ConfigurationTests {
  @Test func `the forms of a URL`() throws {
    let full = try RedisConfiguration("redis://signer:p%40ss@cache.example:6380/5")
    #expect(full.address == .tcp(host: "cache.example", port: 6380))
    #expect(full.username == "signer" && full.password == "p@ss" && full.database == 5)
    let short = try RedisConfiguration("redis://localhost")
    #expect(short.address == .tcp(host: "localhost", port: 6379))
    #expect(short.username == nil && short.password == nil && short.database == 0)
    #expect(try RedisConfiguration("redis://:s3cret@h").username == nil)
    #expect(try RedisConfiguration("redis://[::1]:7000/").address == .tcp(host: "::1", port: 7000))
    let unix = try RedisConfiguration("unix://:pw@/run/redis.sock?db=2")
    #expect(unix.address == .unix(path: "/run/redis.sock") && unix.password == "pw" && unix.database == 2)
  }

  @Test(arguments: [
    "", "http://h", "rediss://h", "redis://", "redis://:6379", "redis://h:0", "redis://h:65536", "redis://h:x",
    "redis://h/x",
    "redis://h/-1", "redis://user@h", "redis://:%zz@h", "redis://:s3cret@", "unix://relative", "unix:///x?y=1",
    "unix:///" + String(repeating: "x", count: 108), "redis://[::1", "redis://[::1]x", "redis://h\0",
  ])
  func `malformed URLs are refused without quoting them`(_ url: String) async throws {
    let error = try await redisError { try RedisConfiguration(url) }
    #expect(error.code == .invalidConfiguration)
    #expect(!error.message.contains("s3cret"))
  }

  @Test func `no description shows the password`() throws {
    let configuration = try RedisConfiguration("redis://signer:s3cret@h/1")
    var dumped = ""
    dump(configuration, to: &dumped)
    for shown in ["\(configuration)", String(reflecting: configuration), dumped] {
      #expect(!shown.contains("s3cret"), "\(shown)")
    }
    #expect("\(configuration)" == "redis at h:6379, database 1, user signer")
  }

  @Test(arguments: [
    ("READONLY You can't write against a read only replica.", RedisError.Code.readOnly, true),
    ("LOADING Redis is loading the dataset in memory", .loading, true),
    ("MASTERDOWN Link with MASTER is down", .masterDown, true),
    ("OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory, true),
    ("NOAUTH Authentication required.", .authenticationFailed, false),
    ("WRONGPASS invalid username-password pair or user is disabled.", .authenticationFailed, false),
    ("ERR invalid password", .authenticationFailed, false),
    ("NOPERM this user has no permissions", .permissionDenied, false),
    ("BUSY Redis is busy running a script.", .busy, true), ("NOSCRIPT No matching script.", .noScript, false),
    ("MISCONF Redis is configured to save RDB snapshots", .persistenceFailed, true),
    ("ERR unknown command", .server, false),
    ("WRONGTYPE Operation against a key", .server, false), ("", .server, false),
  ])
  func `server errors have codes`(_ reply: String, _ code: RedisError.Code, _ isRetryable: Bool) {
    let error = RedisError(reply: reply, to: "GET")
    #expect(error.code == code && error.isRetryable == isRetryable && !error.isOutcomeUnknown)
  }
}
