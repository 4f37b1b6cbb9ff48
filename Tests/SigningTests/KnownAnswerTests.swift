import Domain
import Signing
import Testing

// Proves that the algorithms are the published ones, by vectors from the standards: RFC 8032, 7.1 (Ed25519 leaves
// nothing to choose, so signatures must be equal byte for byte), RFC 6979, A.2.5 (ECDSA P-256 with SHA-256, verified
// only: our nonces are random), and FIPS 180-4 for the payload digest.
@Suite struct KnownAnswerTests {
  struct Ed25519Vector: Sendable, CustomTestStringConvertible {
    let name: String
    let seed: String
    let publicKey: String
    let message: String
    let signature: String
    var testDescription: String { name }
  }

  static let ed25519Vectors = [
    Ed25519Vector(
      name: "TEST 1",
      seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature: """
        e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b
        d25bf5f0595bbe24655141438e7a100b
        """),
    Ed25519Vector(
      name: "TEST 2",
      seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature: """
        92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c
        387b2eaeb4302aeeb00d291612bb0c00
        """),
    Ed25519Vector(
      name: "TEST 3",
      seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      message: "af82",
      signature: """
        6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659
        4a7c15e9716ed28dc027beceea1ec40a
        """),
    Ed25519Vector(
      name: "TEST SHA(abc)",
      seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
      publicKey: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
      message: """
        ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd
        454d4423643ce80e2a9ac94fa54ca49f
        """,
      signature: """
        dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030
        3dca179c138ac17ad9bef1177331a704
        """),
  ]

  @Test(arguments: ed25519Vectors)
  func ed25519MatchesRFC8032(_ vector: Ed25519Vector) throws {
    let pkcs8 = hex("302e020100300506032b657004220420") + hex(vector.seed)
    let key = try PrivateKey(importing: pkcs8)
    #expect(try key.publicKey.der == hex("302a300506032b6570032100") + hex(vector.publicKey))
    var signer = try BatchSigner(key)
    let signature = try signer.signature(over: hex(vector.message))
    #expect(signature == hex(vector.signature))
    #expect(try key.publicKey.accepts(signature, over: hex(vector.message)))
  }

  static let rfc6979PrivateKey = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
  static let rfc6979PublicKey = """
    60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299
    """
  static let rfc6979SPKI =
    hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + hex(rfc6979PublicKey)

  @Test(arguments: [
    (
      "sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
      "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    ),
    (
      "test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
      "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
    ),
  ])
  func ecdsaVerifiesRFC6979(_ message: String, _ r: String, _ s: String) throws {
    let publicKey = try PublicKey(importing: Self.rfc6979SPKI)
    let signature = ECDSASignature.der(r: hex(r), s: hex(s))
    #expect(try publicKey.accepts(signature, over: Array(message.utf8)))
    #expect(try !publicKey.accepts(signature, over: Array("other".utf8)))
  }

  @Test func p256PublicKeyIsComputedFromTheScalar() throws {
    // SEC 1 without the point: the public key can only come from the multiplication.
    let sec1 = hex("3031 020101 0420") + hex(Self.rfc6979PrivateKey) + hex("a00a 0608 2a8648ce3d030107")
    let key = try PrivateKey(importing: sec1)
    #expect(try key.publicKey.der == Self.rfc6979SPKI)
  }

  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func payloadDigestIsSHA256(_ message: String, _ digest: String) throws {
    var digester = try PayloadDigester()
    for _ in 0..<2 { #expect(try digester.digest(Array(message.utf8).span).description == digest) }
  }
}
