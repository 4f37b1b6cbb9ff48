package import Domain

// The errors that all implementations of `KeyStore` throw alike.
extension StorageError {
  package static func unknownKey(_ id: KeyID) -> StorageError {
    StorageError(.notFound, "there is no key \(id): list the keys")
  }

  package static func keyConflict(_ id: KeyID, with taken: KeyID) -> StorageError {
    StorageError(
      .conflict, "the public key given for key \(id) is in the keyring as key \(taken): a key is added only once")
  }

  package static func keyIDTaken(_ id: KeyID) -> StorageError {
    StorageError(.conflict, "key id \(id) is taken: reserve another")
  }

  package static func keyState(_ id: KeyID, _ state: KeyState, _ next: KeyState) -> StorageError {
    StorageError(.wrongState, "key \(id) is \(state.rawValue) and cannot be made \(next.rawValue)")
  }
}
