/// The parts that pages without a list are made of.
struct Panels {
  let model: DashboardModel
  let now: ContinuousClock.Instant
  let width: Int
  let isUTF8: Bool

  /// A title and what stands below it.
  struct Panel {
    var title: String
    var lines: [Line]
    /// So many lines at least, if it has them, or none.
    var minimum: Int
  }

  /// All panels, each with what fits: first its least, then by turns.
  func overview(height: Int) -> [Line] {
    let head = jobs + graphs
    let halves = width >= 100
    let panels =
      halves
      ? [beside(signers, keys), beside(leases, failures), beside(times, services), log]
      : [signers, keys, Panel(title: "Leases", lines: leasesInBrief, minimum: 1), failures, times, log]
    return head.prefix(height) + stack(panels, height: height - head.count)
  }

  /// The same in a line each.
  var summary: [Line] {
    let counts = Dictionary(grouping: model.signers, by: \.state).mapValues(\.count)
    let states = [SignerSummary.State.working, .idle, .silent, .gone].compactMap { state in
      counts[state].map { Span("\($0) \(state.rawValue) ", Texts.style(state)) }
    }
    let held = model.keys.count { !$0.holder.isEmpty }
    let failed = model.failures.prefix(1).map { failure in
      [
        Span("failures ", .dim), Span(failure.cause + " ", failure.lastMinute > 0 ? .bad : .plain),
        Span("\(Numbers.grouped(failure.total)), \(Numbers.grouped(failure.lastMinute)) lately"),
      ]
    }
    return jobs + graphs + [
      [Span("signers  ", .dim)] + (states.isEmpty ? [Span("none report")] : states),
      [Span("keys     ", .dim), Span("\(Numbers.grouped(Double(model.keys.count))), \(held) held")],
    ] + leasesInBrief + failed
  }

  /// Everything about the system, to be scrolled.
  var system: [Line] {
    [leases, failures, times, services, log].flatMap { [title($0.title, width)] + $0.lines + [[]] }.dropLast()
  }

  // MARK: - Laying out

  private func stack(_ panels: [Panel], height: Int) -> [Line] {
    var rooms = Array(repeating: 0, count: panels.count)
    var left = height
    for (index, panel) in panels.enumerated() {
      let needed = min(panel.minimum, panel.lines.count)
      guard needed > 0, left >= needed + 1 else { continue }
      rooms[index] = needed
      left -= needed + 1
    }
    while left > 0,
      let poorest = panels.indices.filter({ rooms[$0] > 0 && rooms[$0] < panels[$0].lines.count })
        .min(by: { rooms[$0] < rooms[$1] })
    {
      rooms[poorest] += 1
      left -= 1
    }
    return zip(panels, rooms).flatMap { panel, room in
      room == 0 ? [] : [title(panel.title, width)] + panel.lines.prefix(room)
    }
  }

  private func beside(_ left: Panel, _ right: Panel) -> Panel {
    let half = column
    let count = max(left.lines.count, right.lines.count)
    let lines = (0..<count).map { row -> Line in
      let line = row < left.lines.count ? clip(left.lines[row], half) : []
      let used = line.reduce(0) { $0 + $1.text.displayWidth }
      return line + [Span(String(repeating: " ", count: half - used + Self.gutter))]
        + (row < right.lines.count ? right.lines[row] : [])
    }
    let titles = (left.title + " ").padding(to: half + Self.gutter - 3, with: isUTF8 ? "─" : "-") + " " + right.title
    return Panel(title: titles, lines: lines, minimum: max(left.minimum, right.minimum))
  }

  private static let gutter = 2

  /// The width of what stands in a panel.
  var column: Int { width >= 100 ? (width - Self.gutter) / 2 : width }

  private func clip(_ line: Line, _ width: Int) -> Line {
    var room = width
    var clipped: Line = []
    for span in line {
      var text = ""
      for character in span.text {
        guard character.displayWidth <= room else { return clipped + [Span(text, span.style)] }
        text.append(character)
        room -= character.displayWidth
      }
      clipped.append(Span(text, span.style))
    }
    return clipped
  }

  private func title(_ text: String, _ width: Int) -> Line {
    let rule = isUTF8 ? "─" : "-"
    return [Span((rule + " " + text + " ").padding(to: width, with: rule), .title)]
  }

  func rateText(_ name: String) -> String { model.rate(name).map(Numbers.short) ?? "-" }
}

extension String {
  fileprivate func padding(to width: Int, with filler: String) -> String {
    self + String(repeating: filler, count: max(0, width - displayWidth))
  }
}
