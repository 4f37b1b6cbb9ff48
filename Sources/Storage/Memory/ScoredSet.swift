/// Members in the order of a score, equal scores in the order of the members: what Redis calls a sorted set.
///
/// Finding is O(log n); changing moves the members behind, which for some thousands is nothing.
struct ScoredSet<Score: Comparable & Sendable, Member: Comparable & Hashable & Sendable>: Sendable {
  private var order: [(score: Score, member: Member)] = []
  private var scores: [Member: Score] = [:]

  var count: Int { order.count }
  var isEmpty: Bool { order.isEmpty }
  var first: (score: Score, member: Member)? { order.first }
  var last: (score: Score, member: Member)? { order.last }
  var members: [Member] { order.map(\.member) }

  func score(of member: Member) -> Score? { scores[member] }

  /// How many members come before this one; nil if it is not in the set.
  func position(of member: Member) -> Int? {
    scores[member].map { lowerBound($0, member) }
  }

  /// Adds the member, or gives it another score.
  mutating func insert(_ member: Member, score: Score) {
    remove(member)
    order.insert((score, member), at: lowerBound(score, member))
    scores[member] = score
  }

  @discardableResult
  mutating func remove(_ member: Member) -> Score? {
    guard let score = scores.removeValue(forKey: member) else { return nil }
    order.remove(at: lowerBound(score, member))
    return score
  }

  mutating func removeAll() {
    order = []
    scores = [:]
  }

  private func lowerBound(_ score: Score, _ member: Member) -> Int {
    var range = 0..<order.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if (order[middle].score, order[middle].member) < (score, member) {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return range.lowerBound
  }
}
