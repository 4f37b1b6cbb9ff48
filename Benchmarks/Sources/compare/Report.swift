import CPeerVersions
import Foundation
import Measurement

/// What is printed.
struct Report: Encodable {
  struct Versions: Encodable {
    var chancery: String
    var grpc = String(cString: peer_grpc_version)
    var grpcTransport = String(cString: peer_grpc_transport_version)
    var nio = String(cString: peer_nio_version)

    enum CodingKeys: String, CodingKey {
      case chancery
      case grpc = "grpc_swift_2"
      case grpcTransport = "grpc_swift_nio_transport"
      case nio = "swift_nio"
    }
  }

  struct Settings: Encodable {
    var rounds: Int
    var transport = "TCP over loopback, without TLS"
    var connections = 1
    var eventLoopsPerProcess = 1

    enum CodingKeys: String, CodingKey {
      case rounds, transport, connections
      case eventLoopsPerProcess = "event_loops_per_process"
    }
  }

  /// The rows of each peer: of one round, or their medians.
  struct Round: Encodable {
    var chancery: [BenchRow]
    var grpc: [BenchRow]
    var floor: [BenchRow]
    var floorWithHops: [BenchRow]

    enum CodingKeys: String, CodingKey {
      case chancery
      case grpc = "grpc_swift_2"
      case floor
      case floorWithHops = "floor_with_hops"
    }
  }

  var machine: Machine
  var versions: Versions
  var settings: Settings
  var comparisons: [Comparison]
  var medians: Round
  var rounds: [Round]

  init(machine: Machine, versions: Versions, rounds: [Round]) {
    self.machine = machine
    self.versions = versions
    settings = Settings(rounds: rounds.count)
    self.rounds = rounds
    let medians = Round(
      chancery: BenchRow.medians(rounds.map(\.chancery)), grpc: BenchRow.medians(rounds.map(\.grpc)),
      floor: BenchRow.medians(rounds.map(\.floor)), floorWithHops: BenchRow.medians(rounds.map(\.floorWithHops)))
    self.medians = medians
    comparisons = medians.chancery.map { Comparison(of: $0.kind, medians: medians, rounds: rounds) }
  }

  /// Indented, keys sorted, a line end at the end.
  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    do {
      return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    } catch {
      preconditionFailure("every measured value can be encoded: \(error)")
    }
  }

  /// For people.
  var text: String {
    """
    \(machine.processor), \(machine.cores) cores; load average \(machine.loadAverage) at the start
    \(versions.chancery); grpc-swift-2 \(versions.grpc), grpc-swift-nio-transport \(versions.grpcTransport), \
    swift-nio \(versions.nio)
    \(settings.transport); connections: \(settings.connections), event loops in each process: \
    \(settings.eventLoopsPerProcess)
    medians of \(settings.rounds) round\(settings.rounds == 1 ? "" : "s") in turns; a ratio is the median of the rounds' ratios

    \(Comparison.table(comparisons))
    \(BenchRow.table([
      ("chancery", medians.chancery), ("grpc-swift-2", medians.grpc), ("floor", medians.floor),
      ("floor with hops", medians.floorWithHops),
    ]))
    """
  }
}

extension BenchRow {
  /// Of the same kind of call in each round, in the order of the first.
  static func medians(_ rounds: [[BenchRow]]) -> [BenchRow] {
    rounds[0].map { row in
      let same = rounds.compactMap { round in round.first { $0.kind == row.kind } }
      func middle(_ value: (BenchRow) -> Double?) -> Double? { median(same.compactMap(value)) }
      var row = row
      row.messagesPerSecond = middle(\.messagesPerSecond) ?? 0
      row.p50 = middle(\.p50)
      row.p99 = middle(\.p99)
      row.clientCPU = middle(\.clientCPU) ?? 0
      row.serverCPU = middle(\.serverCPU) ?? 0
      return row
    }
  }

  fileprivate static func table(_ peers: [(name: String, rows: [BenchRow])]) -> String {
    Table.text(
      ["PEER", "CALL"],
      numbers: ["BYTES", "IN FLIGHT", "MESSAGES/S", "P50 µS", "P99 µS", "CLIENT CPU/100K", "SERVER CPU/100K"],
      peers.flatMap { peer in
        peer.rows.map { row in
          [
            peer.name, row.kind.call, row.kind.bytes.grouped, row.kind.inFlight.grouped,
            Int(row.messagesPerSecond).grouped, row.p50.map { Int($0).grouped } ?? "",
            row.p99.map { Int($0).grouped } ?? "", row.clientCPU.text(digits: 2), row.serverCPU.text(digits: 2),
          ]
        }
      })
  }
}
