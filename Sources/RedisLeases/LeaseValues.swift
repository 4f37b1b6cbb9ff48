internal import Domain
internal import RedisDriver
internal import Storage

extension KeyID {
  /// The digits that a key id is padded to: those of the largest number.
  private static let digits = 19

  /// The id as the scripts take it.
  var argument: RedisArgument {
    let text = description
    return .text(String(repeating: "0", count: Self.digits - text.utf8.count) + text)
  }

  init(_ value: RedisValue) throws(RedisError) {
    self.init(rawValue: try value.int64())
  }
}

extension LeaseID {
  init(_ value: RedisValue) throws(RedisError) {
    let text = try value.text()
    guard let id = LeaseID(text) else {
      throw RedisError(.decoding, "the lease cache holds a lease named \(text), which is no UUID; flush it")
    }
    self = id
  }
}

extension LeaseName {
  var arguments: [RedisArgument] { [keyID.argument, .text(leaseID.description)] }
}

extension LeasedKeyState {
  /// As `install` takes it.
  var arguments: [RedisArgument] {
    [
      keyID.argument, .integer(epoch.rawValue), .text(leaseID?.description ?? ""), .integer(remaining.microseconds),
    ]
  }
}

extension KeyUpdate {
  /// As `update` takes it.
  var arguments: [RedisArgument] {
    [
      state.keyID.argument, state.isActive ? 1 : 0, .integer(state.epoch.rawValue), .integer(state.generation),
      .text(state.leaseID?.description ?? ""), .integer(state.remaining.microseconds),
      .text(deadLease?.description ?? ""),
    ]
  }
}

extension DecisionNumber {
  init(_ values: ArraySlice<RedisValue>) throws(RedisError) {
    guard values.count == 2, let first = values.first, let last = values.last else {
      throw RedisError(.decoding, "a decision number has two parts, not \(values.count)")
    }
    self.init(generation: try first.int64(), sequence: try last.int64())
  }
}

extension TakeOutcome {
  /// Reads the answer of the script `take`: a kind, the generation, what belongs to the kind, and the expired leases.
  init(_ value: RedisValue) throws(RedisError) {
    let values = try value.array(count: 4)
    let generation = try values[1].int64()
    self.init(
      result: try Result(kind: try values[0].int64(), generation, try values[2].array()),
      expired: try Self.releases(try values[3].array(), generation))
  }

  /// Three values for each: key, lease, number of the decision.
  private static func releases(
    _ values: [RedisValue], _ generation: Int64
  ) throws(RedisError) -> [LeaseRelease] {
    guard values.count % 3 == 0 else {
      throw RedisError(.decoding, "\(values.count) values cannot describe expired leases, which take three each")
    }
    var releases: [LeaseRelease] = []
    for index in stride(from: 0, to: values.count, by: 3) {
      releases.append(
        LeaseRelease(
          lease: LeaseName(keyID: try KeyID(values[index]), leaseID: try LeaseID(values[index + 1])),
          decision: DecisionNumber(generation: generation, sequence: try values[index + 2].int64()), isExpiry: true))
    }
    return releases
  }
}

extension TakeOutcome.Result {
  init(kind: Int64, _ generation: Int64, _ values: [RedisValue]) throws(RedisError) {
    switch (kind, values.count) {
    case (0, 0): self = .mustRebuild
    case (1, 5):
      self = .picked(
        LeasePick(
          keyID: try KeyID(values[0]), epoch: Epoch(rawValue: try values[1].int64()),
          decision: DecisionNumber(generation: generation, sequence: try values[2].int64()),
          rank: try values[3].int64(), ticket: try values[4].int64()))
    case (2, 3):
      let next = try values[2].int64()
      self = .queued(
        position: Int(try values[0].int64()), ticket: try values[1].int64(),
        nextExpiry: next < 0 ? nil : .microseconds(next))
    case (3, 1): self = .lineFull(limit: Int(try values[0].int64()))
    default: throw RedisError(.decoding, "the script answered kind \(kind) with \(values.count) values")
    }
  }
}

extension StorageError {
  /// What a failure of Redis means to the user of a cache.
  init(_ error: RedisError) {
    let code: Code =
      switch error.code {
      case .decoding, .protocolViolation, .server: .corrupt
      case .cancelled where !error.isOutcomeUnknown: .cancelled
      default: error.isOutcomeUnknown ? .outcomeUnknown : .unavailable
      }
    self.init(code, "lease cache: \(error.message)")
  }
}

extension Duration {
  /// Whole microseconds, rounded towards zero. Times of leases are far below the limit of 292,000 years.
  var microseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
  }
}
