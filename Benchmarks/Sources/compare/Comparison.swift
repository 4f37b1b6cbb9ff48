import Measurement

/// How Chancery did with one kind of call, beside its peers.
struct Comparison: Encodable {
  /// A peer that has this kind of call.
  struct Peer: Encodable {
    var messagesPerSecond: Double
    /// Chancery's rate divided by the peer's.
    var ratio: Double
    /// What the ratio is meant to be at least, if anything.
    var target: Double?

    enum CodingKeys: String, CodingKey {
      case messagesPerSecond = "messages_per_second"
      case ratio, target
    }
  }

  var kind: CallKind
  var messagesPerSecond: Double
  var grpc: Peer?
  var floor: Peer?
  var floorWithHops: Peer?

  enum CodingKeys: String, CodingKey {
    case messagesPerSecond = "messages_per_second"
    case grpc = "grpc_swift_2"
    case floor
    case floorWithHops = "floor_with_hops"
  }

  init(of kind: CallKind, medians: Report.Round, rounds: [Report.Round]) {
    self.kind = kind
    func rate(_ rows: [BenchRow]) -> Double? { rows.first { $0.kind == kind }?.messagesPerSecond }
    func peer(_ rows: (Report.Round) -> [BenchRow], target: Double?) -> Peer? {
      // Each round is compared with what was measured beside it.
      let ratios = rounds.compactMap { round -> Double? in
        guard let ours = rate(round.chancery), let theirs = rate(rows(round)), theirs > 0 else { return nil }
        return ours / theirs
      }
      guard let rate = rate(rows(medians)), let ratio = median(ratios) else { return nil }
      return Peer(messagesPerSecond: rate.rounded(), ratio: ratio.rounded(digits: 3), target: target)
    }
    messagesPerSecond = (rate(medians.chancery) ?? 0).rounded()
    grpc = peer(\.grpc, target: Targets.grpc[kind])
    floor = peer(\.floor, target: nil)
    floorWithHops = peer(\.floorWithHops, target: Targets.floorWithHops[kind])
  }

  func encode(to encoder: any Encoder) throws {
    try kind.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(messagesPerSecond, forKey: .messagesPerSecond)
    try values.encodeIfPresent(grpc, forKey: .grpc)
    try values.encodeIfPresent(floor, forKey: .floor)
    try values.encodeIfPresent(floorWithHops, forKey: .floorWithHops)
  }

  static func table(_ comparisons: [Comparison]) -> String {
    func ratio(_ peer: Peer?) -> [String] {
      [peer.map { Int($0.messagesPerSecond).grouped } ?? "", peer.map { $0.ratio.text(digits: 2) } ?? ""]
    }
    func target(_ peer: Peer?) -> String {
      (peer?.target).map { "≥ " + $0.text(digits: $0 == $0.rounded() ? 0 : 1) } ?? ""
    }
    return Table.text(
      ["CALL"],
      numbers: [
        "BYTES", "IN FLIGHT", "CHANCERY/S", "GRPC/S", "RATIO", "TARGET", "FLOOR/S", "RATIO", "HOPS/S", "RATIO",
        "TARGET",
      ],
      comparisons.map { comparison in
        [
          comparison.kind.call, comparison.kind.bytes.grouped, comparison.kind.inFlight.grouped,
          Int(comparison.messagesPerSecond).grouped,
        ] + ratio(comparison.grpc) + [target(comparison.grpc)] + ratio(comparison.floor)
          + ratio(comparison.floorWithHops)
          + [target(comparison.floorWithHops)]
      })
  }
}

/// What Chancery's rate is meant to be at least, as a multiple of a peer's.
private enum Targets {
  static let grpc: [CallKind: Double] = [
    CallKind("unary", bytes: 100, inFlight: 64): 10,
    CallKind("server stream", bytes: 1_024): 4,
    CallKind("client stream", bytes: 1_024): 8,
    CallKind("server stream", bytes: 102_400): 1.4,
    CallKind("client stream", bytes: 102_400): 12,
  ]

  static let floorWithHops: [CallKind: Double] = [
    CallKind("unary", bytes: 100, inFlight: 1): 0.8,
    CallKind("unary", bytes: 100, inFlight: 64): 0.8,
  ]
}
