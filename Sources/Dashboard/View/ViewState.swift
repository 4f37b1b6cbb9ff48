/// What the person at the terminal has chosen to see.
public struct ViewState: Sendable, Hashable {
  /// A page of the dashboard.
  public enum Page: Int, Sendable, Hashable, CaseIterable {
    /// A little of everything.
    case overview = 1
    /// The jobs and how far they are.
    case jobs
    /// The signers.
    case signers
    /// The keys.
    case keys
    /// Leases, failures, times and services.
    case system

    /// What the tab says.
    var title: String { "\(self)".prefix(1).uppercased() + "\(self)".dropFirst() }
  }

  /// What a key asks of the shell.
  public enum Effect: Sendable, Hashable {
    /// To end.
    case quit
    /// To write the screen to a file.
    case dump
  }

  /// The page that is shown.
  public internal(set) var page: Page
  /// Whether what is shown stands still.
  public internal(set) var isPaused = false
  /// Said at the bottom until the next key.
  public var notice: String?
  var showsHelp = false
  var showsDetail = false
  var isTyping = false
  var filter = ""
  /// The chosen row of each list, by what the row is about.
  var selected: [Page: String] = [:]
  /// By which of its orders each list is sorted.
  var order: [Page: Int] = [:]
  /// The first line that is shown of a page that is longer than the screen.
  var offset = 0

  /// Shows a page.
  public init(page: Page = .overview) { self.page = page }

  /// The longest filter, in characters.
  static let filterLimit = 64
}

/// A key of the keyboard.
public enum Key: Sendable, Hashable {
  /// What prints.
  case character(Character)
  /// Arrows and their like.
  case up, down, pageUp, pageDown, home, end
  /// The others that mean something.
  case enter, escape, tab, backTab, backspace
}

extension ViewState {
  /// Takes a key. `rows` are what the rows of the page's list are about, as they are shown; a page without a list can
  /// be scrolled by `excess` lines.
  mutating func handle(_ key: Key, rows: [String], excess: Int) -> Effect? {
    notice = nil
    if isTyping {
      type(key)
      return nil
    }
    if showsHelp {
      showsHelp = false
      return key == .character("q") ? .quit : nil
    }
    switch key {
    case .character("q"): return .quit
    case .character("w"): return .dump
    case .character("?"): showsHelp = true
    case .character("p"): isPaused.toggle()
    case .character("/"):
      isTyping = true
      filter = ""
    case .character("s"): order[page, default: 0] += 1
    case .character(let digit) where digit.wholeNumberValue.flatMap(Page.init) != nil:
      show(Page(rawValue: digit.wholeNumberValue!)!)
    case .tab: show(Page(rawValue: page.rawValue % Page.allCases.count + 1)!)
    case .backTab: show(Page(rawValue: (page.rawValue + Page.allCases.count - 2) % Page.allCases.count + 1)!)
    case .character("j"), .down: move(1, rows, excess)
    case .character("k"), .up: move(-1, rows, excess)
    case .pageDown: move(10, rows, excess)
    case .pageUp: move(-10, rows, excess)
    case .character("g"), .home: move(-Self.farAway, rows, excess)
    case .character("G"), .end: move(Self.farAway, rows, excess)
    case .enter: showsDetail = !rows.isEmpty
    case .escape:
      if showsDetail { showsDetail = false } else { filter = "" }
    case .character, .backspace: break
    }
    return nil
  }

  private mutating func show(_ page: Page) {
    (self.page, showsDetail, offset) = (page, false, 0)
  }

  private mutating func type(_ key: Key) {
    switch key {
    case .character(let character): if filter.count < Self.filterLimit { filter.append(character) }
    case .backspace: if filter.isEmpty { isTyping = false } else { filter.removeLast() }
    case .escape: (isTyping, filter) = (false, "")
    case .enter: isTyping = false
    default: break
    }
  }

  /// Farther than any list or page is long.
  private static let farAway = 1 << 32

  private mutating func move(_ count: Int, _ rows: [String], _ excess: Int) {
    offset = min(max(0, excess), max(0, offset + count))
    guard !rows.isEmpty else { return }
    // The first row counts as chosen until another is.
    let current = selected[page].flatMap { rows.firstIndex(of: $0) } ?? 0
    selected[page] = rows[min(rows.count - 1, max(0, current + count))]
  }
}
