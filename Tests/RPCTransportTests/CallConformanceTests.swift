import RPC
import RPCTestSupport
import Testing

/// What a call carries arrives, over every carrier: messages of every shape, metadata, errors. One suite for all carriers;
/// see `Carrier`.
@Suite(.timeLimit(.minutes(1))) struct CallConformanceTests {
  @Test(arguments: Carrier.allCases) func fourShapes(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve([TestService.echo])
      #expect(try await world.unary("hello") == "hello")
      let joined = try await world.clientStreaming { requests in
        for text in ["a", "b", "c"] { try await requests.write(TestMessage(text)) }
      }
      #expect(joined == "a,b,c")
      let split = try await world.serverStreaming("x,y,z") { replies in
        var texts: [String] = []
        for try await reply in replies { texts.append(reply.text) }
        return texts
      }
      #expect(split == ["x", "y", "z"])
      let echoed = try await world.bidirectional { requests, replies in
        var texts: [String] = []
        for text in ["1", "2", "3"] {
          try await requests.write(TestMessage(text))
          texts.append(try #require(try await replies.next()).text)
        }
        requests.finish()
        #expect(try await replies.next() == nil)
        #expect(try await replies.next() == nil)
        return texts
      }
      #expect(echoed == ["1", "2", "3"])
    }
  }

  /// Empty messages are messages, and streams without messages end.
  @Test(arguments: Carrier.allCases) func emptyMessagesAndStreams(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve([TestService.echo])
      #expect(try await world.unary("") == "")
      for count in [0, 1, 3] {
        let joined = try await world.clientStreaming { requests in
          for _ in 0..<count { try await requests.write("") }
        }
        #expect(joined.text == String(repeating: ",", count: max(0, count - 1)))
        let echoed = try await world.bidirectional { requests, replies in
          for _ in 0..<count { try await requests.write("") }
          requests.finish()
          var echoed = 0
          for try await _ in replies { echoed += 1 }
          return echoed
        }
        #expect(echoed == count)
      }
      let none = try await world.serverStreaming("") { replies in try await replies.next() }
      #expect(none == nil)
    }
  }

  @Test(arguments: Carrier.allCases) func metadataAndContext(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let seen = Watched<ServerContext?>(nil)
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, context) in
          seen.update { $0 = context }
          return request
        })
      var options = World.patient
      options.metadata = ["Trace-Parent": "00-é-🖋", "multi": "1", "other": "", "MULTI": "2"]
      options.metadata.add(bytes: [0, 255, 1], for: "blob-bin")
      _ = try await world.unary("x", options)
      let context = try #require(seen.value)
      #expect(context.metadata == options.metadata)
      #expect(context.metadata.values(for: "multi") == ["1", "2"])
      #expect(context.metadata.bytes(for: "blob-bin") == [0, 255, 1])
      #expect(context.method == TestService.unary && context.deadline == nil)
      switch carrier {
      case .memory: #expect(context.peer == PeerInfo(address: "memory:client", identity: "client"))
      case .tcp, .tls: #expect(context.peer.address.hasPrefix("127.0.0.1:"))
      case .unix: #expect(context.peer.address.hasPrefix("unix:"))
      }
    }
  }

  @Test(arguments: Carrier.allCases) func errorsOfEveryShape(_ carrier: Carrier) async throws {
    let error = RPCError(
      .failedPrecondition, "job 7 is paused; resume it first 🖋",
      details: [
        ErrorDetail(typeURL: "type.googleapis.com/google.rpc.RetryInfo", value: [0, 1, 255]),
        ErrorDetail(typeURL: "", value: []),
      ])
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (_: TestMessage, _) -> TestMessage in throw error },
        .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, _) -> TestMessage in
          _ = try await requests.next()
          throw error
        },
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
          try await replies.write("first")
          throw error
        },
        .bidirectional(TestService.bidirectional) {
          (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
          _ = try await requests.next()
          try await replies.write("first")
          throw error
        })
      await #expect(throws: error) { try await world.unary("x") }
      await #expect(throws: error) { try await world.clientStreaming { try await $0.write("x") } as TestMessage }
      await #expect(throws: error) {
        try await world.serverStreaming("x") { replies in
          #expect(try await replies.next() == "first")
          while try await replies.next() != nil {}
        }
      }
      await #expect(throws: error) {
        try await world.bidirectional { requests, replies in
          try await requests.write("x")
          #expect(try await replies.next() == "first")
          while try await replies.next() != nil {}
        }
      }
      #expect(world.unexpected.value.isEmpty)
    }
  }

  /// All codes, also one without a name; texts that some peers could not read are repaired.
  @Test(arguments: Carrier.allCases) func codesAndTexts(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) -> TestMessage in
          if let code = Int32(request.text) { throw RPCError(StatusCode(rawValue: code), "code \(code)") }
          throw RPCError(.internal, request.text)
        })
      for code in Array(1...16) + [42, -7] as [Int32] {
        await #expect(throws: RPCError(StatusCode(rawValue: code), "code \(code)")) {
          try await world.unary(TestMessage("\(code)"))
        }
      }
      await #expect(throws: RPCError(.internal, "a\u{FFFD}b")) { try await world.unary("a\0b") }
      let long = TestMessage(String(repeating: "x", count: 1_000_000))
      let cut = await #expect(throws: RPCError.self) { try await world.unary(long) }
      #expect(cut?.code == .internal && cut?.message.utf8.count == 4096)
    }
  }

  private struct Secret: Error {
    let password = "hunter2"
  }

  @Test(arguments: Carrier.allCases) func otherErrorsOfHandlers(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) -> TestMessage in
          if request == "cancel" { throw CancellationError() }
          throw Secret()
        })
      let unknown = await #expect(throws: RPCError.self) { try await world.unary("x") }
      #expect(unknown?.code == .unknown && unknown?.message.contains("hunter2") == false)
      #expect(world.unexpected.value.count == 1 && world.unexpected.value[0].contains("hunter2"))
      let cancelled = await #expect(throws: RPCError.self) { try await world.unary("cancel") }
      #expect(cancelled?.code == .cancelled)
      #expect(world.unexpected.value.count == 1)
    }
  }

  @Test(arguments: Carrier.allCases) func unimplemented(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve([TestService.echo])
      for shape in CallShape.allCases {
        let service = MethodDescriptor(service: "test.v1.Missing", method: "M", shape: shape)
        let method = MethodDescriptor(service: "test.v1.Test", method: "Missing", shape: shape)
        let expected = [
          (service, "there is no service 'test.v1.Missing' here"),
          (method, "service 'test.v1.Test' has no method 'Missing'"),
        ]
        for (descriptor, message) in expected {
          let call = try await world.channel.open(descriptor, request: [], options: World.patient)
          await #expect(throws: RPCError(.unimplemented, message)) { try await call.next() }
        }
      }
      #expect(try await world.unary("still there") == "still there")
    }
  }

  @Test(arguments: Carrier.allCases) func messagesThatCannotBeCoded(_ carrier: Carrier) async throws {
    let unreadable = TestMessage([TestMessage.unreadable])
    let unwritable = TestMessage([TestMessage.unwritable])
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in
          switch request.text {
          case "unreadable": unreadable
          case "unwritable": unwritable
          default: request
          }
        },
        .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, _) in
          while try await requests.next() != nil {}
          return TestMessage()
        })
      func code(_ body: @escaping @Sendable () async throws -> TestMessage) async -> StatusCode? {
        await #expect(throws: RPCError.self) { _ = try await body() }?.code
      }
      #expect(await code { try await world.unary(unreadable) } == .invalidArgument)
      #expect(await code { try await world.unary(unwritable) } == .invalidArgument)
      #expect(await code { try await world.unary("unreadable") } == .internal)
      #expect(await code { try await world.unary("unwritable") } == .internal)
      #expect(await code { try await world.clientStreaming { try await $0.write(unreadable) } } == .invalidArgument)
      #expect(await code { try await world.clientStreaming { try await $0.write(unwritable) } } == .internal)
      #expect(try await world.unary("fine") == "fine")
    }
  }

  /// Requests, replies and stream messages of the largest size, and above it.
  @Test(arguments: Carrier.allCases) func sizes(_ carrier: Carrier) async throws {
    let limit = ConnectionLimits().maximumFramePayload
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in
          if let size = Int(request.text) { return TestMessage([UInt8](repeating: 3, count: size)) }
          return TestMessage("\(request.payload.count)")
        },
        .bidirectional(TestService.bidirectional) {
          (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
          for try await request in requests {
            let size = Int(request.text)
            try await replies.write(size.map { TestMessage([UInt8](repeating: 3, count: $0)) } ?? request)
          }
        })
      let large = TestMessage([UInt8](repeating: 1, count: limit - 1000))
      #expect(try await world.unary(large) == TestMessage("\(limit - 1000)"))
      #expect(try await world.unary(TestMessage("\(limit - 5)")).payload.count == limit - 5)
      let tooLarge = TestMessage([UInt8](repeating: 1, count: limit + 1))
      for request in [tooLarge, TestMessage("\(limit - 4)"), TestMessage("\(2 * limit)")] {
        let error = await #expect(throws: RPCError.self) { try await world.unary(request) }
        #expect(error?.code == .resourceExhausted)
      }
      try await world.bidirectional { requests, replies in
        let largest = TestMessage([UInt8](repeating: 1, count: limit))
        try await requests.write(largest)
        #expect(try await replies.next() == largest)
        // What cannot be sent does not end the call.
        let error = await #expect(throws: RPCError.self) { try await requests.write(tooLarge) }
        #expect(error?.code == .resourceExhausted)
        try await requests.write("5")
        #expect(try await replies.next()?.payload.count == 5)
        try await requests.write(TestMessage("\(limit + 1)"))
        let failure = await #expect(throws: RPCError.self) { try await replies.next() }
        #expect(failure?.code == .resourceExhausted)
      }
      #expect(try await world.unary("7").payload.count == 7)
    }
  }

  @Test(arguments: Carrier.allCases) func metadataThatCannotTravel(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let calls = Watched(0)
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in
          calls.update { $0 += 1 }
          return request
        })
      let expected: [(Metadata, StatusCode)] = [
        (["ä": "x"], .invalidArgument), (["": "x"], .invalidArgument), (["a": "x\0"], .invalidArgument),
        (["a": String(repeating: "x", count: 17_000)], .resourceExhausted),
      ]
      for (metadata, code) in expected {
        let options = CallOptions(metadata: metadata, waitForReady: true)
        let error = await #expect(throws: RPCError.self) { try await world.unary("x", options) }
        #expect(error?.code == code)
      }
      #expect(calls.value == 0)
      let fitting = CallOptions(metadata: ["a": String(repeating: "x", count: 16_384 - 33)], waitForReady: true)
      #expect(try await world.unary("x", fitting) == "x")
    }
  }

  @Test(arguments: Carrier.allCases) func aThousandCallsAtATime(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let running = Watched(0)
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in
          running.update { $0 += 1 }
          await running.wait { $0 >= 1000 }
          return request
        },
        TestService.echo.methodHandlers[3])
      let replies = try await withThrowingTaskGroup(of: (Int, TestMessage).self) { group in
        for number in 0..<1000 { group.addTask { (number, try await world.unary(TestMessage("\(number)"))) } }
        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
      #expect(replies == Dictionary(uniqueKeysWithValues: (0..<1000).map { ($0, TestMessage("\($0)")) }))
      let streams = try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 0..<200 {
          group.addTask {
            try await world.bidirectional { requests, replies in
              for index in 0..<10 {
                try await requests.write(TestMessage("\(number) \(index)"))
                #expect(try await replies.next() == TestMessage("\(number) \(index)"))
              }
              requests.finish()
              #expect(try await replies.next() == nil)
              return 1
            }
          }
        }
        return try await group.reduce(0, +)
      }
      #expect(streams == 200)
    }
  }
}
