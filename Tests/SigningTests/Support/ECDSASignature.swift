/// Writes ECDSA signatures that no signer would, piece by piece.
enum ECDSASignature {
  /// `Ecdsa-Sig-Value` of two unsigned big-endian numbers, in correct DER.
  static func der(r: [UInt8], s: [UInt8]) -> [UInt8] {
    sequence(integer(r) + integer(s))
  }

  static func sequence(_ content: [UInt8]) -> [UInt8] { [0x30, UInt8(content.count)] + content }

  /// An INTEGER in its shortest form.
  static func integer(_ digits: [UInt8]) -> [UInt8] {
    let shortest = Array(digits.drop { $0 == 0 })
    let content = shortest.isEmpty || shortest[0] >= 0x80 ? [0] + shortest : shortest
    return rawInteger(content)
  }

  /// An INTEGER of exactly these content bytes.
  static func rawInteger(_ content: [UInt8]) -> [UInt8] { [0x02, UInt8(content.count)] + content }

  /// The numbers of a signature that is correct.
  static func parse(_ signature: [UInt8]) -> (r: [UInt8], s: [UInt8]) {
    let rCount = Int(signature[3])
    let r = Array(signature[4..<4 + rCount])
    let s = Array(signature[(6 + rCount)...])
    return (r, s)
  }

  /// `modulus - value`, both big-endian.
  static func difference(_ modulus: [UInt8], _ value: [UInt8]) -> [UInt8] {
    var result = modulus
    let padded = [UInt8](repeating: 0, count: modulus.count) + value
    let aligned = padded.suffix(modulus.count)
    var borrow = 0
    for (index, digit) in zip(modulus.indices, aligned).reversed() {
      let place = Int(modulus[index]) - Int(digit) - borrow
      borrow = place < 0 ? 1 : 0
      result[index] = UInt8(truncatingIfNeeded: place)
    }
    return result
  }

  /// `left + right`, both little-endian and of the same length, without the carry out of the last byte.
  static func littleEndianSum(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    var carry = 0
    return zip(left, right).map { left, right in
      let sum = Int(left) + Int(right) + carry
      carry = sum >> 8
      return UInt8(truncatingIfNeeded: sum)
    }
  }
}
