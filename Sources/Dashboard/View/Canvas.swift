import TimeAndChance

/// Draws the dashboard into a frame: a bar, the page, and a line about keys.
struct Canvas {
  let capabilities: Capabilities
  private(set) var frame: Frame

  init(width: Int, height: Int, _ capabilities: Capabilities) {
    self.capabilities = capabilities
    frame = Frame(width: max(0, width), height: max(0, height))
  }

  /// Below this a page says the same in fewer lines.
  static let compact = (width: 60, height: 16)

  var isCompact: Bool { frame.width < Self.compact.width || frame.height < Self.compact.height }

  mutating func draw(_ model: DashboardModel, _ view: ViewState, _ now: ContinuousClock.Instant) {
    write(header(model, view, now), row: 0, fill: .bar)
    if frame.height > 1 { write(footer(view, model, now), row: frame.height - 1, fill: .bar) }
    let problems = problems(model)
    for (index, line) in problems.enumerated() { write(line, row: 1 + index) }
    let room = frame.height - 2 - problems.count
    guard room > 0 else { return }
    for (index, line) in body(model, view, now, height: room).prefix(room).enumerated() {
      write(line, row: 1 + problems.count + index)
    }
  }

  /// By how many lines the page is longer than the screen.
  func excess(_ model: DashboardModel, _ view: ViewState, _ now: ContinuousClock.Instant) -> Int {
    guard view.page == .system else { return 0 }
    let panels = Panels(model: model, now: now, width: frame.width, isUTF8: capabilities.isUTF8)
    return max(0, panels.system.count - (frame.height - 2 - problems(model).count))
  }

  /// The feeds that cannot be had.
  private func problems(_ model: DashboardModel) -> [Line] {
    let problems = model.problems.sorted { $0.key.rawValue < $1.key.rawValue }
    return problems.prefix(max(0, min(isCompact ? 1 : 3, frame.height - 3))).map { feed, reason in
      [Span("\(feed.rawValue): ", .bad), Span(reason)]
    }
  }

  /// Everything that is written passes here: nothing that a terminal would obey reaches it.
  private mutating func write(_ line: Line, row: Int, fill: Style? = nil) {
    let isUTF8 = capabilities.isUTF8
    frame.write(line.map { Span($0.text.printable(isUTF8: isUTF8), $0.style) }, row: row, fill: fill)
  }

  private func body(
    _ model: DashboardModel, _ view: ViewState, _ now: ContinuousClock.Instant, height: Int
  ) -> [Line] {
    if view.showsHelp { return Help.lines }
    let panels = Panels(model: model, now: now, width: frame.width, isUTF8: capabilities.isUTF8)
    switch view.page {
    case .overview: return isCompact ? panels.summary : panels.overview(height: height)
    case .system:
      let lines = panels.system
      return Array(lines.dropFirst(min(view.offset, max(0, lines.count - height))))
    case .jobs, .signers, .keys: return list(Page.list(view.page, model, now)!, view, height: height)
    }
  }

  /// A list, scrolled so that the chosen row is seen; or all that is known of that row.
  private func list(_ list: ListPage, _ view: ViewState, height: Int) -> [Line] {
    let rows = list.shown(view)
    guard !rows.isEmpty else {
      return [[Span(view.filter.isEmpty ? list.empty : "nothing matches '\(view.filter)'; Esc shows all", .dim)]]
    }
    let index = view.selected[view.page].flatMap { id in rows.firstIndex { $0.id == id } } ?? 0
    if view.showsDetail { return details(rows[index]) }
    let isUTF8 = capabilities.isUTF8
    let room = max(1, height - 1)
    let first = max(0, min(index - room / 2, rows.count - room))
    var table = TextTable(columns: list.columns)
    table.rows = rows.indices.dropFirst(first).prefix(room).map { row in
      let cells = rows[row].cells.map { Span($0.text.printable(isUTF8: isUTF8), $0.style) }
      return TextTable.Row(cells: cells, isSelected: row == index)
    }
    return table.lines(width: frame.width)
  }

  private func details(_ row: ListPage.Row) -> [Line] {
    let width = row.details.map(\.name.count).max() ?? 0
    return row.details.map { name, value in
      [Span(name + String(repeating: " ", count: width - name.count + 2), .dim), Span(value)]
    }
  }
}

extension Canvas {
  /// Which cluster, since when it is watched, and how old what is shown is.
  private func header(_ model: DashboardModel, _ view: ViewState, _ now: ContinuousClock.Instant) -> Line {
    let age: Span
    if view.isPaused {
      age = Span(" PAUSED ", .warning)
    } else if let old = model.age(.metrics, now) {
      age =
        model.isStale(now)
        ? Span(" stale \(Numbers.clock(old.inSeconds)) ", .bad)
        : Span(model.isIncomplete ? " incomplete " : " live ", model.isIncomplete ? .warning : .bar)
    } else {
      age = Span(" connecting ", .warning)
    }
    let watched = Numbers.clock(model.started.duration(to: now).inSeconds)
    let right: Line = [Span(isCompact ? "" : " watched \(watched) ", .bar), age]
    let used = right.reduce(0) { $0 + $1.text.displayWidth }
    let left = " chancery top  \(model.context)".printable(isUTF8: capabilities.isUTF8)
    var shown = ""
    var room = frame.width - used
    for character in left where room >= character.displayWidth {
      shown.append(character)
      room -= character.displayWidth
    }
    return [Span(shown + String(repeating: " ", count: max(0, room)), .bar)] + right
  }

  /// The pages and the most needed keys, or what is being typed, or what was just done.
  private func footer(_ view: ViewState, _ model: DashboardModel, _ now: ContinuousClock.Instant) -> Line {
    if view.isTyping { return [Span(" filter: \(view.filter)_", .bar)] }
    if let notice = view.notice { return [Span(" \(notice)", .bar)] }
    var line: Line = Page.allCases.map { page in
      let title = isCompact ? String(page.title.prefix(page == view.page ? 8 : 1)) : page.title
      return Span(" \(page.rawValue) \(title) ", page == view.page ? .selected : .bar)
    }
    var hints = " ? help  q quit"
    if let list = Page.list(view.page, model, now) {
      // What hides rows must be seen, however narrow the screen.
      if !view.filter.isEmpty { hints = " filter: \(view.filter) " + hints }
      hints += "  sort: \(list.orderName(view))"
    }
    line.append(Span(hints, .bar))
    return line
  }
}

/// What the keys do.
enum Help {
  static let lines: [Line] = [
    ("1-5, Tab", "pages: overview, jobs, signers, keys, system"),
    ("j k, arrows", "down and up"), ("g G", "first and last"), ("PgUp PgDn", "ten rows"),
    ("Enter, Esc", "all of the chosen row, and back"), ("/", "only rows with a text; Esc shows all"),
    ("s", "next order"), ("p", "pause: what is shown stands still"), ("w", "write the screen to a file"),
    ("q", "quit; any other key leaves this help"),
  ].map { key, text in
    [Span(" " + key + String(repeating: " ", count: 13 - key.count), .title), Span(text)]
  }
}
