public import Domain
public import Signing

/// The Merkle tree of Certificate Transparency (RFC 6962, 2.1) over leaves that come one after another, in memory that grows
/// with the logarithm of their number.
public struct MerkleTree: ~Copyable {
  /// Roots of full subtrees, each of twice as many leaves as the next or more: one for each 1 in the binary number of leaves.
  private(set) var subtrees: [SHA256Digest] = []
  /// How many leaves there are.
  public private(set) var count = 0
  private var hasher: MerkleHasher

  /// A tree without leaves.
  public init() throws(SigningError) { hasher = try MerkleHasher() }

  /// Adds a leaf by its hash.
  public mutating func append(_ leaf: SHA256Digest) throws(SigningError) {
    var node = leaf
    var full = count
    while full & 1 == 1 {
      node = try hasher.node(subtrees.removeLast(), node)
      full >>= 1
    }
    subtrees.append(node)
    count += 1
  }

  /// The hash of the tree as it is; of an empty one, the hash of nothing.
  public mutating func root() throws(SigningError) -> SHA256Digest {
    guard var root = subtrees.last else { return try hasher.digest([]) }
    for subtree in subtrees.dropLast().reversed() { root = try hasher.node(subtree, root) }
    return root
  }
}

/// Hashes leaves and nodes, which differ in their first byte so that neither can pass for the other.
public struct MerkleHasher: ~Copyable {
  private var digester: PayloadDigester

  /// Makes a context of the cryptographic library. Throws what that throws.
  public init() throws(SigningError) { digester = try PayloadDigester() }

  /// The hash of a leaf: SHA-256 of 0x00 and its bytes.
  public mutating func leaf(_ bytes: [UInt8]) throws(SigningError) -> SHA256Digest { try digest([0] + bytes) }

  /// The hash of a node: SHA-256 of 0x01 and the hashes of both sides.
  mutating func node(_ left: SHA256Digest, _ right: SHA256Digest) throws(SigningError) -> SHA256Digest {
    try digest([1] + left.bytes + right.bytes)
  }

  mutating func digest(_ bytes: [UInt8]) throws(SigningError) -> SHA256Digest { try digester.digest(bytes.span) }
}
