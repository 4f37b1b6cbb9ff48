import TimeAndChance

/// What happens in a simulated run: chosen by a seed, or kept in a file because it once went wrong or shows something.
///
/// A file has a line for each fault, as ``PlannedFault`` writes it, and before them `seed N`, from which the rest follows, and
/// `records N`. Lines that begin with `#` say why it is kept.
public struct Scenario: Sendable, Hashable {
  /// Decides what the faults leave open: the order of what happens at the same time, and how long deliveries take.
  public var seed: UInt64
  /// How many records are signed.
  public var records: Int
  /// In the order in which they come.
  public var faults: [PlannedFault]

  /// The faults that a seed chooses for a run of this size.
  public init(seed: UInt64, size: SimulatedRun.Size) {
    self.seed = seed
    records = size.records
    faults = []
    // Not the source of the run itself, which the faults would shift.
    let random = SeededRandom(seed: ~seed)
    var at = Duration.zero
    while at < size.faultTime {
      at += .milliseconds(random.duration(from: .milliseconds(50), to: .seconds(4)).inMilliseconds)
      faults.append(PlannedFault(at: at, in: size.shape, keys: size.keys, random: random))
    }
  }

  /// Reads a file of a run on the cluster of `size`; throws ``ScenarioError`` for what makes none.
  public init(parsing text: String, size: SimulatedRun.Size) throws(ScenarioError) {
    (seed, records, faults) = (1, size.records, [])
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      if words.count == 2, words[0] == "seed", let seed = UInt64(words[1]) {
        self.seed = seed
      } else if words.count == 2, words[0] == "records", let records = Int(words[1]), (1...100_000).contains(records) {
        self.records = records
      } else {
        faults.append(try PlannedFault(parsing: String(line), in: size.shape, keys: size.keys))
      }
    }
    faults.sort { $0.at < $1.at }
  }
}

extension Scenario: CustomStringConvertible {
  /// The file.
  public var description: String {
    (["seed \(seed)", "records \(records)"] + faults.map(\.description)).joined(separator: "\n") + "\n"
  }
}

/// What is wrong with the text of a scenario.
public struct ScenarioError: Error, CustomStringConvertible {
  /// What is wrong.
  public let description: String

  init(_ description: String) { self.description = description }
}
