import Domain
import Signing

/// Files of keys, private and public: read, or refused. The first byte says whether there is a passphrase.
func fuzzKeys(_ bytes: [UInt8]) {
  let file = Array(bytes.dropFirst())
  if let key = try? PublicKey(importing: file.span) {
    guard let again = try? PublicKey(der: key.der.span) else { fatalError("a public key cannot be read again") }
    require(again == key)
  }
  let passphrase = Array("secret".utf8)
  if bytes.first == UInt8(ascii: "p") {
    _ = try? PrivateKey(importing: file.span, passphrase: passphrase.span)
  } else {
    _ = try? PrivateKey(importing: file.span)
  }
}
