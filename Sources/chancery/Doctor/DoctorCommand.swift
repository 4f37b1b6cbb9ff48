import ArgumentParser
import RPCTransport

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Look for what is wrong with a cluster, and say how to mend it.",
    discussion: """
      Looks at the settings, the certificates, the services, the database, Redis and the key-encryption key, side by side, and \
      changes nothing. What cannot be looked at is skipped; the remedy then says which option would enable it. Each look ends \
      after --timeout, 10 seconds unless it is given. Exit code 1 if anything failed; warnings do not count.

      Example: chancery doctor --database-url postgresql://audit@db/chancery --redis-url redis://cache
      """)

  @OptionGroup var database: DatabaseOptions
  @Option(help: "Redis: redis://HOST:PORT or unix:///PATH (CHANCERY_REDIS_URL).") var redisURL: String?
  @Option(help: "The file with the key-encryption key (CHANCERY_KEK_FILE).", completion: .file()) var kekFile: String?
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let findings = try await findings()
    output.print(findings)
    let failed = findings.filter { $0.result == .failed }
    guard !failed.isEmpty else { return }
    throw CommandFailure(
      code: "doctor_failed",
      message: "\(failed.count) of \(findings.count) checks failed: \(failed.map(\.check).joined(separator: ", "))",
      hint: "the output says what was seen and how to mend it")
  }

  private func findings() async throws -> [Finding] {
    let file = ContextFile.examine()
    // Without the file nobody knows what to look at.
    if file.result == .failed { return [file] }
    let limit = try connection.streamTimeout ?? .seconds(10)
    let examinations = try examinations()
    return await withTaskGroup(of: (Int, [Finding]).self) { group in
      for (index, examination) in examinations.enumerated() {
        group.addTask { (index, await examination.run(within: limit)) }
      }
      var results = [[Finding]](repeating: [], count: examinations.count)
      for await (index, findings) in group { results[index] = findings }
      return [file] + results.joined()
    }
  }

  private func examinations() throws -> [Examination] {
    let database = database.resolve(try connection.context.selected())?.value
    return [
      .process, .certificates(try connection.tlsFiles(forServerAt: try connection.address(.coordinator))),
      .keyEncryptionKey(Settings.value(kekFile, variable: "CHANCERY_KEK_FILE")),
      .coordinator(connection), .keykeeper(connection), .logger(connection), .database(database),
      .redis(Settings.value(redisURL, variable: "CHANCERY_REDIS_URL")),
    ]
  }
}
