import Foundation
import Testing

@testable import Dashboard

// Proves what the dashboard shows, to the cell: each page at three sizes, with and without UTF-8, of clusters that are
// empty, busy, large, silent and gone, against frames that stand beside this file. UPDATE_FRAMES=1 writes them anew.
@Suite("Frames are what was agreed on")
struct FrameTests {
  static let sizes = [(80, 24), (120, 40), (50, 12)]
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Frames")

  private func expect(
    _ frame: Frame, _ name: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let lines = frame.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    #expect(lines.count == frame.height && lines.allSatisfy { $0.displayWidth <= frame.width }, "\(name)")
    let file = Self.folder.appending(path: "\(name).txt")
    if ProcessInfo.processInfo.environment["UPDATE_FRAMES"] == "1" {
      return try Data(frame.text.utf8).write(to: file)
    }
    let known = try String(contentsOf: file, encoding: .utf8)
    #expect(frame.text == known, "\(name): UPDATE_FRAMES=1 writes it anew", sourceLocation: sourceLocation)
  }

  @Test(arguments: [true, false])
  func everyPageAtEverySize(isUTF8: Bool) throws {
    var cluster = SampleCluster()
    cluster.run(seconds: 0...61)
    for page in ViewState.Page.allCases {
      cluster.dashboard.view = ViewState(page: page)
      for (width, height) in Self.sizes {
        let frame = cluster.frame(width, height, isUTF8: isUTF8, at: 61.2)
        try expect(frame, "\(page)-\(width)x\(height)\(isUTF8 ? "" : "-ascii")")
        if !isUTF8 { #expect(frame.text.utf8.allSatisfy { $0 == 10 || (32..<127).contains($0) }) }
        #expect(!frame.text.unicodeScalars.contains("\u{1B}") && !frame.text.unicodeScalars.contains("\u{202E}"))
      }
    }
  }

  @Test(arguments: FrameTests.sizes)
  func anEmptyCluster(width: Int, height: Int) throws {
    var cluster = SampleCluster(signers: 0, keys: 0)
    cluster.dashboard.model.fail(.metrics, "UNAVAILABLE: cannot connect to 127.0.0.1:7422: connection refused")
    try expect(
      cluster.frame(width, height, at: 3), "unreachable-\(width)x\(height)")
    cluster.dashboard.model.take(services: [], isIncomplete: false, at: cluster.start)
    cluster.dashboard.model.take(jobs: [], at: cluster.start)
    cluster.dashboard.model.take(keys: [], hasMore: false, at: cluster.start)
    for page in ViewState.Page.allCases {
      cluster.dashboard.view = ViewState(page: page)
      try expect(
        cluster.frame(width, height, at: 0),
        "empty-\(page)-\(width)x\(height)")
    }
  }

  @Test(arguments: FrameTests.sizes)
  func aStreamThatStopped(width: Int, height: Int) throws {
    var cluster = SampleCluster()
    cluster.run(seconds: 0...30)
    cluster.dashboard.model.fail(.metrics, "UNAVAILABLE: the connection was lost")
    let frame = cluster.frame(width, height, at: 34.5)
    #expect(frame.text.contains("stale 4 s"))
    try expect(frame, "stale-\(width)x\(height)")
    cluster.run(seconds: 35...35)
    let live = cluster.frame(width, height, at: 35.5)
    let header = live.text.prefix { $0 != "\n" }
    #expect(header.contains("live") && !header.contains("stale"))
  }

  @Test(arguments: FrameTests.sizes)
  func manySignersAndKeys(width: Int, height: Int) throws {
    var cluster = SampleCluster(signers: 64, keys: 1000)
    cluster.run(seconds: 0...10)
    for page in [ViewState.Page.overview, .signers, .keys] {
      cluster.dashboard.view = ViewState(page: page)
      _ = cluster.dashboard.handle(.character("G"), at: cluster.instant(10))
      let frame = cluster.frame(width, height, at: 10)
      try expect(frame, "many-\(page)-\(width)x\(height)")
    }
  }

  /// Whatever the size, something is drawn and nothing beside it.
  @Test func anySizeCanBeDrawn() {
    var cluster = SampleCluster()
    cluster.run(seconds: 0...5)
    for page in ViewState.Page.allCases {
      cluster.dashboard.view = ViewState(page: page)
      for (width, height) in [(0, 0), (1, 1), (2, 1), (5, 2), (9, 3), (20, 4), (33, 7), (400, 100)] {
        let frame = cluster.frame(width, height, at: 5)
        #expect((frame.width, frame.height) == (width, height))
        for row in 0..<height { #expect(frame.runs(row: row).map(\.text).joined().displayWidth == width) }
      }
    }
  }
}
