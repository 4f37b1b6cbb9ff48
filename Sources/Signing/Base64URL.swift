internal import CSodium

/// base64url without padding, as JOSE writes bytes (RFC 7515, 2).
enum Base64URL {
  static func encode(_ bytes: [UInt8]) -> String {
    let variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING
    let text = [CChar](unsafeUninitializedCapacity: sodium_base64_encoded_len(bytes.count, variant)) { text, count in
      // Returns its argument: the buffer has the size that libsodium asked for, and it ends with a zero.
      _ = sodium_bin2base64(text.baseAddress!, text.count, bytes, bytes.count, variant)
      count = text.count
    }
    return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
