import ArgumentParser
import DedicatedThreads
import Domain
import Foundation
import LocalServers
import RPC
import Schema
import Signing

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure, side by side with the limit.",
    subcommands: [Sign.self, Watch.self, RPC.self, RPCServer.self])

  struct Sign: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure the main job against the signing library's own rate.",
      discussion: """
        In a private cluster, with fsync on: from the submission of a job to its last signature, durable in Postgres. The \
        limit is the library's rate in a tight loop, one thread for each core, measured before and after every round. \
        Medians are printed. Example: chancery bench sign --algorithm ed25519 -o json
        """)

    @Option(help: "How to sign: \(SignatureAlgorithm.allValueStrings.joined(separator: ", ")).")
    var algorithm = SignatureAlgorithm.default
    @Option(
      parsing: .unconditional, help: "Records of each round; by default as many as take about a second and a half.")
    var records: Int?
    @Option(parsing: .unconditional, help: "Bytes of payload of each record.") var recordBytes = 192
    @Option(parsing: .unconditional, help: "How many keys.") var keys = 100
    @Option(parsing: .unconditional, help: "Records per batch.") var batchSize = BatchSize.default.rawValue
    @Option(parsing: .unconditional, help: "How many signers.") var signers = 1
    @Option(parsing: .unconditional, help: "How many rounds.") var rounds = 5
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard rounds > 0 else { throw ValidationError("--rounds \(rounds) is not positive") }
      guard records.map({ $0 > 0 }) ?? true else { throw ValidationError("--records is not positive") }
      guard BatchSize(rawValue: batchSize) != nil else {
        throw ValidationError("--batch-size \(batchSize) is not between 1 and \(BatchSize.range.upperBound)")
      }
      guard (1...10_000).contains(keys) else { throw ValidationError("--keys \(keys) is not between 1 and 10000") }
    }

    func run() async throws {
      let count = records ?? (algorithm.rsaModulusBits == nil ? 100_000 : 10_000)
      let job = MainJob(
        records: count, recordBytes: recordBytes, keys: keys, algorithm: algorithm, batchSize: batchSize, isQuiet: true)
      var shape = LocalCluster.Shape()
      shape.signers = signers
      // The limit has none either; what TLS costs is measured by 'bench rpc'.
      shape.hasTLS = false
      let measured = try await LocalCluster.with(shape) { cluster in try await measure(job, cluster) }
      let report = BenchReport(job: job, signers: signers, rounds: measured)
      output.print(report, name: "bench/\(algorithm.rawValue)", text: report.text)
    }

    private func measure(_ job: MainJob, _ cluster: LocalCluster) async throws -> [BenchReport.Round] {
      let keyKeeper = await cluster.address(.keykeeper)
      let coordinator = await cluster.address(.coordinator)
      _ = try await Connection.with(keyKeeper, service: "keykeeper") { try await job.generateKeys($0) }
      return try await Connection.with(coordinator, service: "coordinator") { channel in
        var measured: [BenchReport.Round] = []
        // The first round warms caches and connections, and does not count.
        for round in 0...rounds {
          try await Databases.clearRecords(cluster.databaseURL)
          try await job.generateRecords(channel)
          // Before and after, for the speed of a shared machine changes from second to second.
          let before = try await SigningRate.measure(algorithm, recordBytes: recordBytes)
          let outcome = try await job.sign(channel)
          let limit = (before + (try await SigningRate.measure(algorithm, recordBytes: recordBytes))) / 2
          guard outcome.signed == UInt64(job.records) else {
            throw CommandFailure(
              code: "records_failed", message: "\(outcome.signed) of \(job.records) records were signed",
              exitCode: .someFailed)
          }
          let rate = Double(outcome.signed) / outcome.seconds
          if round > 0 { measured.append(BenchReport.Round(recordsPerSecond: rate, limitPerSecond: limit)) }
          StandardError.write(
            "round \(round)\(round == 0 ? " (warm-up)" : ""): \(Int64(rate).grouped)/s of \(Int64(limit).grouped)/s\n")
        }
        return measured
      }
    }
  }
}

/// The signing library's own rate on all cores.
enum SigningRate {
  static func measure(_ algorithm: SignatureAlgorithm, recordBytes: Int) async throws -> Double {
    // Off Swift's shared threads: the measurement blocks its caller.
    let thread = try ComputePool(threads: 1, name: "limit")
    let result = try await thread.run { () -> Result<Double, SigningError> in
      do throws(SigningError) {
        let limit = try SigningLimit.measure(
          algorithm, threads: ComputePool.availableCores, payloadBytes: recordBytes, for: .duration(.seconds(1)))
        return .success(limit.signaturesPerSecond)
      } catch {
        return .failure(error)
      }
    }
    await thread.shutDown()
    return try result.get()
  }
}

/// What `bench sign` prints.
struct BenchReport: Encodable, Sendable {
  struct Round: Encodable, Sendable {
    var recordsPerSecond: Double
    var limitPerSecond: Double

    enum CodingKeys: String, CodingKey {
      case recordsPerSecond = "records_per_second"
      case limitPerSecond = "limit_per_second"
    }
  }

  var algorithm: String
  var records: Int
  var recordBytes: Int
  var batchSize: Int
  var keys: Int
  var signers: Int
  var cores: Int
  var processor: String
  var recordsPerSecond: Double
  var limitPerSecond: Double
  var ratio: Double
  var rounds: [Round]

  enum CodingKeys: String, CodingKey {
    case algorithm, records
    case recordBytes = "record_bytes"
    case batchSize = "batch_size"
    case keys, signers, cores, processor
    case recordsPerSecond = "records_per_second"
    case limitPerSecond = "limit_per_second"
    case ratio, rounds
  }

  init(job: MainJob, signers: Int, rounds: [Round]) {
    algorithm = job.algorithm.name
    records = job.records
    recordBytes = job.recordBytes
    batchSize = job.batchSize
    keys = job.keys
    self.signers = signers
    cores = ComputePool.availableCores
    processor = Self.processorName
    recordsPerSecond = Self.median(rounds.map(\.recordsPerSecond)).rounded()
    limitPerSecond = Self.median(rounds.map(\.limitPerSecond)).rounded()
    // The median of the rounds' ratios: each round is compared with the limit measured around it.
    ratio = (Self.median(rounds.map { $0.recordsPerSecond / $0.limitPerSecond }) * 1000).rounded() / 1000
    self.rounds = rounds
  }

  var text: String {
    """
    \(algorithm), \(records) records of \(recordBytes) bytes, batches of \(batchSize), \(keys) keys, \(signers) signers
    \(processor), \(cores) cores; medians of \(rounds.count) rounds
    main job  \(Int64(recordsPerSecond).grouped)/s
    limit     \(Int64(limitPerSecond).grouped)/s
    ratio     \(ratio.text(digits: 3))

    """
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  private static var processorName: String {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
  }
}
