/// What a key file may hold, and what is said about a file that holds something else.
enum KeyFile {
  static func checkSize(_ file: Span<UInt8>) throws(SigningError) {
    guard file.count <= PrivateKey.maximumEncodedBytes else {
      throw SigningError(
        .keyTooLarge,
        "the input has \(file.count) bytes, more than any key (\(PrivateKey.maximumEncodedBytes)); give a key alone"
      )
    }
  }

  /// The one private key among the blocks. `EC PARAMETERS`, which OpenSSL writes before an EC key, is not in the way.
  static func privateBlock(of file: PEMFile) throws(SigningError) -> PEMFile.Block {
    let blocks = file.blocks.filter { $0.label != "EC PARAMETERS" }
    let privateBlocks = blocks.filter { shape(ofLabel: $0.label)?.isPrivate == true }
    if privateBlocks.count > 1 {
      throw SigningError(
        .severalKeys, "the file holds \(privateBlocks.count) private keys; give one file for each key")
    }
    guard let block = privateBlocks.first else { throw noPrivateKey(in: blocks) }
    if let other = blocks.first(where: { shape(ofLabel: $0.label)?.isPrivate != true }) {
      throw SigningError(.trailingData, "the file also holds a \(other.label) block; give a file with the key alone")
    }
    return block
  }

  /// The one public key among the blocks.
  static func publicBlock(of file: PEMFile) throws(SigningError) -> PEMFile.Block {
    if file.blocks.contains(where: { shape(ofLabel: $0.label)?.isPrivate == true }) { throw privateKeyGiven() }
    if file.blocks.contains(where: { shape(ofLabel: $0.label) == .certificate }) { throw certificateGiven() }
    let block = file.blocks[0]
    guard file.blocks.count == 1 else {
      throw SigningError(.severalKeys, "the file holds \(file.blocks.count) PEM blocks; give one public key")
    }
    switch shape(ofLabel: block.label) {
    case .subjectPublicKeyInfo: return block
    case .pkcs1Public: throw pkcs1PublicGiven()
    default: throw unsupportedLabel(block.label)
    }
  }

  /// What a block with this label holds, or nil if it is no label of a key this service knows.
  static func shape(ofLabel label: String) -> DERShape? {
    switch label {
    case "PRIVATE KEY": .pkcs8
    case "ENCRYPTED PRIVATE KEY": .encryptedPKCS8
    case "EC PRIVATE KEY": .sec1
    case "RSA PRIVATE KEY": .pkcs1
    case "PUBLIC KEY": .subjectPublicKeyInfo
    case "RSA PUBLIC KEY": .pkcs1Public
    case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
      .certificate
    default: nil
    }
  }

  static func publicKeyGiven() -> SigningError {
    SigningError(.publicKeyGiven, "the file holds a public key, not a private one; give the private key's file")
  }

  static func privateKeyGiven() -> SigningError {
    SigningError(
      .privateKeyGiven, "the file holds a private key, not a public one; make one with: openssl pkey -in FILE -pubout")
  }

  static func certificateGiven() -> SigningError {
    SigningError(
      .certificateGiven,
      "the file holds a certificate or a request for one, not a key; give the file with the key alone")
  }

  static func pkcs12Given() -> SigningError {
    SigningError(
      .unsupportedKeyType, "the file is PKCS#12; take the key out with: openssl pkcs12 -in FILE -nocerts -nodes")
  }

  static func pkcs1PublicGiven() -> SigningError {
    SigningError(
      .unsupportedKeyType, "the file is an RSAPublicKey; convert it with: openssl rsa -RSAPublicKey_in -in FILE -pubout"
    )
  }

  private static func noPrivateKey(in blocks: [PEMFile.Block]) -> SigningError {
    switch blocks.first.map({ ($0.label, shape(ofLabel: $0.label)) }) {
    case nil: PEMFile.malformed("it holds only EC PARAMETERS, and no key follows")
    case (_, .certificate)?: certificateGiven()
    case (_, .subjectPublicKeyInfo)?, (_, .pkcs1Public)?: publicKeyGiven()
    case (let label, _)?: unsupportedLabel(label)
    }
  }

  private static func unsupportedLabel(_ label: String) -> SigningError {
    let remedy =
      label == "OPENSSH PRIVATE KEY"
      ? "convert a copy of it with: ssh-keygen -p -m PKCS8 -f COPY" : "use a P-256, Ed25519 or plain RSA key"
    return SigningError(.unsupportedKeyType, "the file holds a \(label) block, which is not supported; \(remedy)")
  }
}

extension DERShape {
  /// Whether it holds a private key of a kind this service may use.
  var isPrivate: Bool {
    switch self {
    case .pkcs8, .encryptedPKCS8, .sec1, .pkcs1: true
    case .subjectPublicKeyInfo, .pkcs1Public, .certificate, .pkcs12, .unknown: false
    }
  }
}
