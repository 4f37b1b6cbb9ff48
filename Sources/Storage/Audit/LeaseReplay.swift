import Domain

/// Replays what a lease cache has decided and finds the grants that did not take the least recently used free key.
///
/// Within a generation every decision of the cache has a number, one more than the decision before. A decision that left no
/// trace, because a process crashed between making it and writing it down, is a hole in the numbers. So a grant is
/// - an inversion if another key was free with a smaller rank, and no hole lies in the time for which it was free;
/// - undecidable if a hole may stand for the decision that took that key away, or for one that made a key free before;
/// - right otherwise.
///
/// The events of a generation come in the order of their numbers. Memory is proportional to the number of keys and holes.
package struct LeaseReplay {
  /// One step of the trail.
  package struct Event: Sendable {
    package enum Kind: Int16, Sendable {
      /// The generation begins; `rank` is the number of keys with which the cache was filled, after which it counts on.
      case begin = 0
      /// The key is free from here on, with this rank.
      case free = 1
      /// The key was picked, and granted.
      case granted = 2
      /// The key was picked, and the store refused to grant it.
      case failedPick = 3
      /// The key is leased from here on.
      case held = 4
      /// Nothing but the number.
      case noted = 5
    }

    package var generation: Int64
    package var sequence: Int64
    package var kind: Kind
    package var keyID: Int64
    package var rank: Int64
    /// For `free`: when the key was put out of use, on the clock of the store; nil if it was not.
    package var usableUntil: Int64?
    /// For a pick: the earliest time, on the clock of the store, at which this or any later pick of the generation was
    /// granted. What was put out of use after that was still in use when the pick was made.
    package var madeBefore: Int64?
    /// For `granted` and `held`: whether it is known when the key became free again, or that it has not.
    package var isEndKnown: Bool

    package init(
      generation: Int64, sequence: Int64, kind: Kind, keyID: Int64, rank: Int64, usableUntil: Int64? = nil,
      madeBefore: Int64? = nil, isEndKnown: Bool = true
    ) {
      self.generation = generation
      self.sequence = sequence
      self.kind = kind
      self.keyID = keyID
      self.rank = rank
      self.usableUntil = usableUntil
      self.madeBefore = madeBefore
      self.isEndKnown = isEndKnown
    }
  }

  private struct FreeKey {
    var rank: Int64
    var keyID: Int64
  }

  private var generation: Int64?
  private var last: Int64 = 0
  /// Numbers without a trace, as ascending ranges.
  private var holes: [ClosedRange<Int64>] = []
  /// By rank, then by key.
  private var free: [FreeKey] = []
  private var ranks: [Int64: Int64] = [:]
  /// The free keys that are put out of use at some time, and when.
  private var leaving: [Int64: Int64] = [:]
  /// When the keys were picked whose lease ended in an unknown way.
  private var lost: [Int64: Int64] = [:]

  package private(set) var grants: Int64 = 0
  package private(set) var inversions: Int64 = 0
  package private(set) var undecidable: Int64 = 0
  package private(set) var examples: [String] = []

  package init() {}

  package mutating func consume(_ event: Event) {
    if event.generation != generation { begin(event) }
    if event.sequence > last {
      if event.sequence > last + 1 { holes.append(last + 1...event.sequence - 1) }
      last = event.sequence
    }
    switch event.kind {
    case .begin: last = max(last, event.rank)
    case .noted: break
    case .free: makeFree(event)
    case .granted:
      grants += 1
      check(event)
      take(event.keyID)
      if !event.isEndKnown { lost[event.keyID] = event.sequence }
    case .failedPick, .held:
      take(event.keyID)
      if event.kind == .failedPick || !event.isEndKnown { lost[event.keyID] = event.sequence }
    }
  }

  private mutating func begin(_ event: Event) {
    generation = event.generation
    // A generation without a beginning counts as one whose earlier decisions were all lost.
    last = event.kind == .begin ? event.rank : 0
    holes = []
    free = []
    ranks = [:]
    leaving = [:]
    lost = [:]
  }

  private mutating func makeFree(_ event: Event) {
    take(event.keyID)
    free.insert(FreeKey(rank: event.rank, keyID: event.keyID), at: position(event.rank, event.keyID))
    ranks[event.keyID] = event.rank
    leaving[event.keyID] = event.usableUntil
  }

  private mutating func take(_ keyID: Int64) {
    lost[keyID] = nil
    leaving[keyID] = nil
    guard let rank = ranks.removeValue(forKey: keyID) else { return }
    free.remove(at: position(rank, keyID))
  }

  private mutating func check(_ event: Event) {
    if let madeBefore = event.madeBefore {
      // Later picks were granted even later: what was out of use now stays so.
      let gone = leaving.filter { $0.value <= madeBefore }
      for keyID in gone.keys { take(keyID) }
    }
    let lastHole = hole(before: event.sequence) ?? .min
    // What the trail says of the key itself is better than what the cache said, unless it may have missed something.
    let rank = ranks[event.keyID].flatMap { $0 > lastHole ? $0 : nil } ?? event.rank
    let older = free[..<position(rank, .min)].filter { $0.keyID != event.keyID }
    if let witness = older.first(where: { $0.rank > lastHole }) {
      inversions += 1
      if examples.count < AuditReport.Finding.maximumExamples {
        examples.append(
          "key \(event.keyID) was granted by decision \(event.generation)/\(event.sequence) as free since \(rank), "
            + "and key \(witness.keyID) was free since \(witness.rank)")
      }
    } else if !older.isEmpty || mayHaveMissedRelease(before: rank) {
      undecidable += 1
    }
  }

  /// Whether a key whose lease ended in an unknown way may have become free before `rank`.
  private func mayHaveMissedRelease(before rank: Int64) -> Bool {
    guard !lost.isEmpty, let hole = hole(before: rank), let earliest = lost.values.min() else { return false }
    return earliest < hole
  }

  /// The greatest number without a trace below `number`.
  private func hole(before number: Int64) -> Int64? {
    var range = 0..<holes.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      range = holes[middle].lowerBound < number ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    guard range.lowerBound > 0 else { return nil }
    return min(holes[range.lowerBound - 1].upperBound, number - 1)
  }

  private func position(_ rank: Int64, _ keyID: Int64) -> Int {
    var range = 0..<free.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      let isBefore = (free[middle].rank, free[middle].keyID) < (rank, keyID)
      range = isBefore ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }
}
