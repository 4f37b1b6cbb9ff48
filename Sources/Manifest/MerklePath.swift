public import Domain
public import Signing

/// The way from one leaf up to the root: the audit path of RFC 6962, 2.1.1.
public struct MerklePath: Sendable, Hashable {
  /// The place of the leaf, from 0.
  public var index: Int
  /// How many leaves the tree has.
  public var count: Int
  /// The hash of the other side at each step, from the leaf up.
  public var siblings: [SHA256Digest]

  /// Makes a path.
  public init(index: Int, count: Int, siblings: [SHA256Digest]) {
    self.index = index
    self.count = count
    self.siblings = siblings
  }

  /// The root of the tree in which `leaf` has this path; nil if the path is too short or too long for its place (RFC 9162,
  /// 2.1.3.2).
  public func root(from leaf: SHA256Digest) throws(SigningError) -> SHA256Digest? {
    guard (0..<count).contains(index) else { return nil }
    var hasher = try MerkleHasher()
    var (place, last) = (index, count - 1)
    var root = leaf
    for sibling in siblings {
      if last == 0 { return nil }
      if place & 1 == 1 || place == last {
        root = try hasher.node(sibling, root)
        // The last of an odd number goes up by itself until it has a left side.
        while place & 1 == 0, place != 0 {
          place >>= 1
          last >>= 1
        }
      } else {
        root = try hasher.node(root, sibling)
      }
      place >>= 1
      last >>= 1
    }
    return last == 0 ? root : nil
  }
}

/// Finds the path of one leaf while all leaves go by, in memory that grows with the logarithm of their number. How many there
/// are must be known before, which of them it is only when it comes.
public struct MerklePathBuilder: ~Copyable {
  private let count: Int
  private var seen = 0
  /// Of the leaves before the wanted one; afterwards, of those in the next subtree beside its way.
  private var tree: MerkleTree
  private var index: Int?
  /// The subtrees beside the way, to the left and to the right of it, and how far from the root each is.
  private var hashes: [(hash: SHA256Digest, depth: Int)] = []
  private var rest: [(range: Range<Int>, depth: Int)] = []

  /// Will find a path among `count` leaves.
  public init(count: Int) throws(SigningError) {
    self.count = count
    tree = try MerkleTree()
  }

  /// The next leaf; the path is wanted of one of them.
  public mutating func append(_ leaf: SHA256Digest, isWanted: Bool) throws(SigningError) {
    defer { seen += 1 }
    if isWanted, seen < count {
      index = seen
      let siblings = Self.siblings(of: seen, in: 0..<count)
      // What lies to the left are full subtrees, which the tree has put together as they are.
      hashes = zip(tree.subtrees, siblings.filter { $0.range.upperBound <= seen }).map { ($0, $1.depth) }
      rest = siblings.filter { $0.range.lowerBound > seen }.sorted { $0.range.lowerBound < $1.range.lowerBound }
      tree = try MerkleTree()
      return
    }
    if index != nil, rest.isEmpty { return }
    try tree.append(leaf)
    if index != nil, let next = rest.first, seen + 1 == next.range.upperBound {
      hashes.append((try tree.root(), next.depth))
      rest.removeFirst()
      tree = try MerkleTree()
    }
  }

  /// The path; nil if the leaf did not come, or not as many leaves as were to come.
  public var path: MerklePath? {
    guard seen == count, let index else { return nil }
    return MerklePath(index: index, count: count, siblings: hashes.sorted { $0.depth > $1.depth }.map(\.hash))
  }

  /// The subtrees beside the way from the root down to a leaf. Each left side has the greatest power of two of leaves that
  /// leaves something for the right.
  private static func siblings(of index: Int, in whole: Range<Int>) -> [(range: Range<Int>, depth: Int)] {
    var found: [(range: Range<Int>, depth: Int)] = []
    var tree = whole
    while tree.count > 1 {
      let size = 1 << (Int.bitWidth - 1 - (tree.count - 1).leadingZeroBitCount)
      let middle = tree.lowerBound + size
      let (left, right) = (tree.lowerBound..<middle, middle..<tree.upperBound)
      found.append((index < middle ? right : left, found.count))
      tree = index < middle ? left : right
    }
    return found
  }
}
