import Domain
import Manifest
import Signing
import Testing

// Proves that the tree is the one of Certificate Transparency: the roots of its reference tests, and a path for every leaf of
// every small tree that leads to the root and nowhere else.
@Suite("The Merkle tree is that of RFC 6962")
struct MerkleTests {
  /// The leaves of the reference tests of Certificate Transparency (certificate-transparency, merkle_tree_test.cc).
  private let leaves: [[UInt8]] = [
    [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43],
    [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    [0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F],
  ]

  /// Their roots with no leaf, one, and so on.
  private let roots = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ]

  @Test func itHasTheRootsOfTheReferenceTests() throws {
    var hasher = try MerkleHasher()
    var tree = try MerkleTree()
    #expect("\(try tree.root())" == roots[0])
    for (index, leaf) in leaves.enumerated() {
      try tree.append(hasher.leaf(leaf))
      let root = "\(try tree.root())"
      #expect(root == roots[index + 1], "\(index + 1) leaves")
    }
  }

  /// The paths of the reference tests: of leaf 0 among 8, 5 among 8, and 1 among 5.
  @Test(arguments: [
    (
      0, 8,
      [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
      ]
    ),
    (
      5, 8,
      [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ]
    ),
    (
      1, 5,
      [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      ]
    ),
  ])
  func itHasThePathsOfTheReferenceTests(_ index: Int, _ count: Int, _ siblings: [String]) throws {
    var hasher = try MerkleHasher()
    var builder = try MerklePathBuilder(count: count)
    for (place, leaf) in leaves.prefix(count).enumerated() {
      try builder.append(hasher.leaf(leaf), isWanted: place == index)
    }
    let path = builder.path
    #expect(path?.siblings.map { "\($0)" } == siblings)
    #expect("\(try #require(try path?.root(from: hasher.leaf(leaves[index]))))" == roots[count])
  }

  @Test func everyLeafOfEverySmallTreeHasAPathAndNoOtherHasIt() throws {
    var hasher = try MerkleHasher()
    let hashes = try (0..<70).map { number throws(SigningError) in try hasher.leaf([UInt8(number)]) }
    for count in 1...70 {
      var tree = try MerkleTree()
      for hash in hashes.prefix(count) { try tree.append(hash) }
      let root = try tree.root()
      for index in 0..<count {
        var builder = try MerklePathBuilder(count: count)
        for (place, hash) in hashes.prefix(count).enumerated() { try builder.append(hash, isWanted: place == index) }
        let found = builder.path
        var path = try #require(found)
        let reached = try path.root(from: hashes[index])
        #expect(reached == root, "\(index) of \(count)")
        let other = try path.root(from: hashes[(index + 1) % 70])
        #expect(other != root)
        // A place that is not its own, and a path that is too short or too long.
        path.index = count
        #expect(try path.root(from: hashes[index]) == nil)
        path.index = index
        path.siblings.append(root)
        #expect(try path.root(from: hashes[index]) == nil)
        path.siblings.removeLast(min(2, path.siblings.count))
        #expect(try path.root(from: hashes[index]) != root || count == 1)
      }
    }
  }

  @Test func aPathNeedsAsManyLeavesAsWereToCome() throws {
    var hasher = try MerkleHasher()
    let leaf = try hasher.leaf([1])
    for (announced, coming) in [(3, 2), (3, 4), (0, 1)] {
      var builder = try MerklePathBuilder(count: announced)
      for place in 0..<coming { try builder.append(leaf, isWanted: place == 0) }
      let path = builder.path
      #expect(path == nil, "\(coming) of \(announced)")
    }
  }
}
