import Domain
import Storage
import Testing

// What services reported is found again: in the order in which it was stored or the opposite one, page by page, by each part of
// a filter; and what is older than it is to be kept is gone.
extension ConformanceCase {
  static let events = [
    ConformanceCase("events are read in both orders, page by page") { scene async throws in
      let events = (1...5).map { scene.event($0) }
      try await scene.store.append(Array(events[0..<3]))
      try await scene.store.append([])
      try await scene.store.append(Array(events[3..<5]))
      for (order, wanted) in [(EventOrder.oldestFirst, events), (.newestFirst, events.reversed())] {
        var found: [PlacedEvent] = []
        for size in [2, 2, 1, 0] {
          let page = try await scene.store.events(EventFilter(), order: order, after: found.last?.position, limit: 2)
          #expect(page.count == size)
          found += page
        }
        #expect(found.map(\.event) == wanted)
      }
      #expect(try await scene.store.events(EventFilter(), order: .newestFirst, after: nil, limit: 0) == [])
    },

    ConformanceCase("each part of a filter leaves events out") { scene async throws in
      try await scene.store.append((1...8).map { scene.event($0) })
      func numbers(_ change: (inout EventFilter) -> Void) async throws -> [String] {
        var filter = EventFilter()
        change(&filter)
        let found = try await scene.store.events(filter, order: .oldestFirst, after: nil, limit: 100).map(\.event)
        #expect(found.allSatisfy(filter.includes))
        return found.map { String($0.instance.dropFirst("i-".count)) }
      }
      #expect(try await numbers { $0.minimumLevel = .warning } == ["2", "3", "6", "7"])
      #expect(try await numbers { $0.services = ["signer", "logger"] } == ["1", "3", "5", "7"])
      #expect(try await numbers { $0.instances = ["i-2", "i-7"] } == ["2", "7"])
      #expect(try await numbers { $0.name = "batch.refused" } == ["3", "6"])
      #expect(try await numbers { $0.name = "batch." } == ["1", "2", "3", "4", "5", "6", "7"])
      #expect(try await numbers { $0.name = "batch" } == ["8"])
      #expect(try await numbers { $0.attributes = ["job": "j4"] } == ["4"])
      #expect(try await numbers { $0.attributes = ["job": "j4", "näme": "\"quoted\""] } == ["4"])
      #expect(try await numbers { $0.attributes = ["job": "j4", "none": ""] } == [])
      #expect(try await numbers { $0.text = "NR. 5 🔏 \" \\" } == ["5"])
      #expect(try await numbers { $0.text = "%" } == [])
      let times = try await numbers { $0.times = scene.time(3)..<scene.time(5) }
      #expect(times == ["3", "4"])
      #expect(
        try await numbers {
          $0.minimumLevel = .info
          $0.services = ["signer"]
          $0.name = "batch."
          $0.times = scene.time(2)..<EventFilter.allTimes.upperBound
        } == ["3", "5", "7"])
    },

    ConformanceCase("only the last days of events are kept, and there is room for more") { scene async throws in
      #expect(try await scene.store.retainEvents(days: 1) == 0)
      try await scene.store.append([scene.event(1)])
      try await scene.advance(.seconds(40 * 86_400))
      try await scene.store.append([scene.event(2)])
      #expect(try await scene.store.retainEvents(days: 41) == 0)
      #expect(try await scene.numbersOfEvents() == ["i-1", "i-2"])
      #expect(try await scene.store.retainEvents(days: 40) == 1)
      #expect(try await scene.numbersOfEvents() == ["i-2"])
    },
  ]
}

extension Scene {
  fileprivate func event(_ number: Int) -> StoredEvent {
    StoredEvent(
      level: EventLevel.allCases[number % 4], at: time(number), service: number % 2 == 1 ? "signer" : "coordinator",
      instance: "i-\(number)", name: number == 8 ? "batch" : number % 3 == 0 ? "batch.refused" : "batch.returned",
      message: "Nr. \(number) 🔏 \" \\ '",
      attributes: number == 1 ? [:] : ["job": "j\(number)", "näme": "\"quoted\""])
  }

  /// Events that are stored long after they happened are not found by time: these happen about now.
  fileprivate func time(_ number: Int) -> Timestamp { Timestamp.testStart.advanced(by: .seconds(number)) }

  fileprivate func numbersOfEvents() async throws -> [String] {
    try await store.events(EventFilter(), order: .oldestFirst, after: nil, limit: 100).map(\.event.instance)
  }
}
