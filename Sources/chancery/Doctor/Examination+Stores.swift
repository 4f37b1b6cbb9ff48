import FoundationEssentials
import PostgresDriver
import PostgresStorage
import RedisDriver

extension Examination {
  /// The database: whether it can be used as the truth of a cluster.
  static func database(_ url: String?) -> Examination {
    let checks = [
      "database", "database-version", "database-clock", "database-durability", "database-schema",
    ]
    guard let url else {
      return skipped(
        checks, "no database is given",
        remedy: "--database-url or CHANCERY_DATABASE_URL, or 'chancery context set NAME --database-url URL'")
    }
    return Examination(checks: checks) {
      var findings: [Finding] = []
      do {
        var configuration = try PostgresConfiguration(url)
        configuration.applicationName = "chancery-doctor"
        let connection = try await PostgresConnection.open(configuration)
        do {
          findings = try await DatabaseState.read(connection).findings(configuration.description)
        } catch {
          findings = [Finding(check: "database", error)]
        }
        await connection.close()
        if findings.contains(where: { $0.result == .failed && $0.check == "database" }) { return findings }
        findings.append(.schema(try await Databases.schemaStatus(url)))
      } catch let failure as CommandFailure {
        findings.append(
          Finding(
            check: "database-schema", result: .failed, seen: failure.message,
            remedy: failure.hint ?? "give a role that may read the schema chancery"))
      } catch {
        findings.append(Finding(check: "database", error))
      }
      return findings
    }
  }

  /// Redis: whether it keeps what it is given.
  static func redis(_ url: String?) -> Examination {
    let checks = ["redis", "redis-eviction"]
    guard let url else {
      return skipped(checks, "no Redis is given", remedy: "--redis-url or CHANCERY_REDIS_URL")
    }
    return Examination(checks: checks) {
      do throws(RedisError) {
        let configuration = try RedisConfiguration(url)
        let connection = try await RedisConnection.open(configuration)
        let answer: Swift.Result<RedisValue, RedisError>
        do throws(RedisError) {
          answer = .success(try await connection.command(["INFO"], isIdempotent: true))
        } catch {
          answer = .failure(error)
        }
        await connection.close()
        return RedisState(try answer.get().text()).findings(configuration.address.description)
      } catch {
        return [
          Finding(
            check: "redis", result: .failed, seen: error.message,
            remedy: "look whether Redis runs there, and whether the user and password of --redis-url are right")
        ]
      }
    }
  }
}

/// What a database says of itself.
private struct DatabaseState {
  var version: Int64
  var isStandby: Bool
  /// That of the role that asks: a role may have its own.
  var synchronousCommit: String
  var role: String
  var clock: Finding

  static func read(_ connection: PostgresConnection) async throws(PostgresError) -> DatabaseState {
    let asked = Date.now
    let result = try await connection.query(
      """
      SELECT current_setting('server_version_num')::bigint, pg_is_in_recovery(), current_setting('synchronous_commit'),
        clock_timestamp(), current_user::text
      """)
    let time = try result.timestamp(0, 3).unixMicroseconds ?? 0
    return DatabaseState(
      version: try result.int64(0, 0), isStandby: try result.bool(0, 1), synchronousCommit: try result.text(0, 2),
      role: try result.text(0, 4),
      clock: .clock("database-clock", microseconds: time, asked: asked, answered: .now))
  }

  func findings(_ server: String) -> [Finding] {
    let isNew = version >= 140_000
    return [
      Finding(
        check: "database", result: isStandby ? .failed : .ok,
        seen: isStandby ? "\(server) is a standby: it cannot be written to" : "\(server) answers",
        remedy: isStandby ? "give the primary; services take a replica with --read-url" : nil),
      Finding(
        check: "database-version", result: isNew ? .ok : .failed,
        seen: "PostgreSQL \(version / 10_000).\(version % 10_000)",
        remedy: isNew ? nil : "upgrade it to version 14 or later"),
      clock, durability,
    ]
  }

  /// What is committed must outlast a crash of the server.
  private var durability: Finding {
    let (result, reason): (Finding.Result, String) =
      switch synchronousCommit {
      case "on", "remote_apply": (.ok, "")
      case "off": (.failed, ": what is committed is lost when the server crashes")
      default: (.warning, ": a failover may lose what is committed")
      }
    return Finding(
      check: "database-durability", result: result,
      seen: "synchronous_commit is \(synchronousCommit) for \(role)\(reason)",
      remedy: result == .ok ? nil : "ALTER ROLE chancery_coordinator SET synchronous_commit = on")
  }
}

/// What Redis says of itself.
private struct RedisState {
  private var fields: [Substring: Substring] = [:]

  /// Reads what `INFO` answers: a name and value a line.
  init(_ info: String) {
    for line in info.split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon]] = line[line.index(after: colon)...]
    }
  }

  func findings(_ server: String) -> [Finding] {
    let isReplica = fields["role"] == "slave"
    let policy = fields["maxmemory_policy"] ?? "not told"
    let keeps = policy == "noeviction"
    // Without a limit it evicts nothing, today.
    let isUnlimited = fields["maxmemory"] == "0"
    return [
      Finding(
        check: "redis", result: isReplica ? .failed : .ok,
        seen:
          "\(server) is Redis \(fields["redis_version"] ?? "of an unknown version")\(isReplica ? ", a replica" : "")",
        remedy: isReplica ? "give the primary" : nil),
      Finding(
        check: "redis-eviction", result: keeps ? .ok : isUnlimited ? .warning : .failed,
        seen: "maxmemory-policy is \(policy)\(keeps ? "" : ": leases may be evicted")",
        remedy: keeps ? nil : "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"),
    ]
  }
}

extension Finding {
  /// A server that cannot be used.
  fileprivate init(check: String, _ error: any Error) {
    let message = (error as? PostgresError)?.message ?? "\(error)"
    self.init(
      check: check, result: .failed, seen: message,
      remedy: "look whether the server runs there, and whether the user and password of --database-url are right")
  }

  /// Whether a database has the schema that this program needs.
  fileprivate static func schema(_ status: SchemaStatus) -> Finding {
    let check = "database-schema"
    if let changed = status.steps.first(where: \.isChanged) {
      return Finding(
        check: check, result: .failed, seen: "migration \(changed.version) was applied with another text",
        remedy: "use the program that applied it")
    }
    if status.current == status.needed { return Finding(check: check, result: .ok, seen: "version \(status.current)") }
    return Finding(
      check: check, result: .failed, seen: "version \(status.current), this program needs \(status.needed)",
      remedy: status.current > status.needed ? "upgrade this program" : "chancery db migrate, as a role that may")
  }
}
