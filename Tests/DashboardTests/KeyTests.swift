import Testing

@testable import Dashboard

// Proves what each key does, on the state alone.
@Suite("Keys choose what is shown")
struct KeyTests {
  private func dashboard() -> (Dashboard, ContinuousClock.Instant) {
    var cluster = SampleCluster()
    cluster.run(seconds: 0...5)
    return (cluster.dashboard, cluster.instant(5))
  }

  private func text(_ dashboard: Dashboard, _ now: ContinuousClock.Instant) -> String {
    dashboard.frame(now: now).text
  }

  @Test func digitsAndTabChooseThePage() {
    var (dashboard, now) = dashboard()
    for page in ViewState.Page.allCases {
      #expect(dashboard.handle(.character(Character("\(page.rawValue)")), at: now) == nil)
      #expect(dashboard.view.page == page)
    }
    _ = dashboard.handle(.tab, at: now)
    #expect(dashboard.view.page == .overview)
    _ = dashboard.handle(.backTab, at: now)
    #expect(dashboard.view.page == .system)
    _ = dashboard.handle(.character("9"), at: now)
    #expect(dashboard.view.page == .system)
  }

  @Test func rowsAreChosenAndOpened() {
    var (dashboard, now) = dashboard()
    for key: Key in [.character("4"), .character("j"), .down, .character("k"), .enter] {
      _ = dashboard.handle(key, at: now)
    }
    #expect(text(dashboard, now).contains("key               2"))
    for key: Key in [.escape, .character("G"), .enter] { _ = dashboard.handle(key, at: now) }
    #expect(text(dashboard, now).contains("key               6"))
    for key: Key in [.escape, .character("g"), .pageUp, .enter] { _ = dashboard.handle(key, at: now) }
    #expect(text(dashboard, now).contains("key               1"))
  }

  @Test func aFilterKeepsWhatMatches() {
    var (dashboard, now) = dashboard()
    for key: Key in [.character("4"), .character("/")] { _ = dashboard.handle(key, at: now) }
    for character in "RING 55q" { #expect(dashboard.handle(.character(character), at: now) == nil) }
    #expect(text(dashboard, now).contains("filter: RING 55q_"))
    for key: Key in [.backspace, .backspace, .enter] { _ = dashboard.handle(key, at: now) }
    #expect(text(dashboard, now).contains("ring 5") && !text(dashboard, now).contains("ring 4"))
    _ = dashboard.handle(.character("/"), at: now)
    for character in "nothing" { _ = dashboard.handle(.character(character), at: now) }
    #expect(text(dashboard, now).contains("nothing matches 'nothing'"))
    _ = dashboard.handle(.escape, at: now)
    #expect(text(dashboard, now).contains("ring 4"))
  }

  @Test func sortingKeepsTheChosenRow() {
    var (dashboard, now) = dashboard()
    for key: Key in [.character("2"), .character("j"), .character("s"), .character("s")] {
      _ = dashboard.handle(key, at: now)
    }
    #expect(text(dashboard, now).contains("sort: failed"))
    #expect(dashboard.view.selected[.jobs] == "0190a3c2-0000-7000-8000-000000000002")
    let first = Page.list(.jobs, dashboard.model, now)?.shown(dashboard.view).first?.id
    #expect(first == "0190a3c2-0000-7000-8000-000000000001")
    for _ in 0..<2 { _ = dashboard.handle(.character("s"), at: now) }
    #expect(text(dashboard, now).contains("sort: newest"))
  }

  @Test func pausedMeansThatNothingMoves() {
    var cluster = SampleCluster()
    cluster.run(seconds: 0...5)
    _ = cluster.dashboard.handle(.character("p"), at: cluster.instant(5))
    let before = text(cluster.dashboard, cluster.instant(5))
    cluster.run(seconds: 6...9)
    #expect(text(cluster.dashboard, cluster.instant(9)) == before && before.contains("PAUSED"))
    _ = cluster.dashboard.handle(.character("p"), at: cluster.instant(9))
    #expect(text(cluster.dashboard, cluster.instant(9)) != before)
  }

  @Test func aLongPageIsScrolledToItsEndAndBack() {
    var (dashboard, now) = dashboard()
    dashboard.size = (80, 12)
    _ = dashboard.handle(.character("5"), at: now)
    let top = text(dashboard, now)
    #expect(top.contains("granted") && !top.contains("coordinator-1"))
    _ = dashboard.handle(.character("G"), at: now)
    let end = text(dashboard, now)
    #expect(end.contains("signer-1") && !end.contains("granted"))
    _ = dashboard.handle(.character("k"), at: now)
    #expect(text(dashboard, now) != end, "one line up is one line up")
    _ = dashboard.handle(.character("g"), at: now)
    #expect(text(dashboard, now) == top)
  }

  @Test func quitDumpAndHelp() {
    var (dashboard, now) = dashboard()
    #expect(dashboard.handle(.character("w"), at: now) == .dump)
    _ = dashboard.handle(.character("?"), at: now)
    #expect(text(dashboard, now).contains("write the screen to a file"))
    _ = dashboard.handle(.character("x"), at: now)
    #expect(!text(dashboard, now).contains("write the screen to a file"))
    #expect(dashboard.handle(.character("q"), at: now) == .quit)
  }
}
