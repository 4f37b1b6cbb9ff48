extension PrivateKey {
  /// Reads a private key that a service is given as a file: unencrypted, PEM or DER, and readable by its owner alone.
  /// - Parameters:
  ///   - path: A regular file, or a link to one, that belongs to the process's user or to root.
  ///   - readers: Who else may read it.
  /// - Throws: `file_unreadable`, `file_permissions` if others could read or alter it, or a code of
  ///   ``init(importing:passphrase:)``.
  public static func load(
    from path: String, readers: KeyEncryptionKey.Readers = .ownerOnly
  ) throws(SigningError) -> PrivateKey {
    let file = try SecretFile(opening: path)
    try file.requirePrivate(readers)
    let contents = try file.contents(atMost: maximumEncodedBytes)
    do {
      return try contents.withBytes { (bytes) throws(SigningError) in try PrivateKey(importing: bytes) }
    } catch {
      throw SigningError(error.code, "\(path): \(error.message)", reasons: error.reasons)
    }
  }
}
