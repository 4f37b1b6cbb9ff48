import Telemetry

// What is being done: jobs, throughput, signers and keys.
extension Panels {
  /// The jobs that run, or the newest one: what it is and how far, in two lines each.
  var jobs: [Line] {
    let open = model.jobs.filter(\.isOpen)
    guard let newest = model.jobs.first else {
      let text = model.heard[.jobs] == nil ? "jobs are not known yet" : "no jobs: submit one with 'chancery sign'"
      return [[Span(text, .dim)]]
    }
    return (open.isEmpty ? [newest] : Array(open.prefix(width >= 100 ? 3 : 1))).flatMap(lines) + more(open.count)
  }

  private func more(_ open: Int) -> [Line] {
    let shown = width >= 100 ? 3 : 1
    return open > shown ? [[Span("\(open - shown) more not done: press 2", .dim)]] : []
  }

  private func lines(_ job: JobReading) -> [Line] {
    let percent = job.isPlanned ? Numbers.percent(job.ended, of: job.planned) : "being planned"
    let counts = "\(Numbers.grouped(job.ended))/\(Numbers.grouped(job.planned))"
    let eta = model.remaining(job).map { "  " + Texts.eta($0) + " left" } ?? ""
    let failed = job.failed > 0 ? [Span("  \(Numbers.grouped(job.failed)) failed", .bad)] : []
    let tail = " \(percent)  \(counts)\(eta)"
    let bar = min(60, width - tail.count - 2)
    let name = width < 60 ? String(job.id.prefix(8)) : job.id
    let first: Line = [
      Span("job ", .dim), Span(name + "  "), Span(job.state, Texts.style(jobState: job.state)),
      Span("  \(job.algorithm)", .dim),
    ]
    guard bar >= 10 else { return [first + failed, [Span(String(tail.dropFirst()))]] }
    let done = job.isPlanned ? job.ended : 0
    return [
      first + failed,
      [Span(Sparkline.progress(done, of: job.planned, width: bar, isUTF8: isUTF8), .graph), Span(tail)],
    ]
  }

  /// What is signed per second, how long that takes, and how long signers wait for keys, over a minute.
  var graphs: [Line] {
    let columns = max(0, min(60, width - 32))
    let rates = model.rates(MetricNames.signaturesStored, columns)
    let stale = model.isStale(now)
    func line(_ name: String, _ values: [Double?], _ text: String) -> Line {
      [
        Span(name.padded(to: 14), .dim), Span(text.padded(to: 16), stale ? .dim : .plain),
        Span(Sparkline.text(values, isUTF8: isUTF8), stale ? .dim : .graph),
      ]
    }
    let rate = model.rate(MetricNames.signaturesStored).map { Numbers.grouped($0) + "/s" } ?? "-"
    return [
      line("signatures", rates, rate)
    ]
      + [("batch p99", MetricNames.signing), ("key wait p99", MetricNames.keyWait)].map { title, name in
        line(title, model.highs(name, columns), model.times(name).seconds(0.99).map(Numbers.time) ?? "-")
      }
  }

  var signers: Panel {
    let list = Page.list(.signers, model, now)!
    return Panel(title: "Signers (\(list.rows.count))", lines: table(list, list.rows), minimum: 3)
  }

  /// The keys that are held, then those that were used last.
  var keys: Panel {
    let list = Page.list(.keys, model, now)!
    let rows = list.rows.enumerated().sorted { left, right in
      let (one, other) = (left.element.keys, right.element.keys)
      return (one[1], one[2], -left.offset) > (other[1], other[2], -right.offset)
    }.map(\.element)
    let held = model.keys.count { !$0.holder.isEmpty }
    let waiting = Numbers.grouped(model.total("chancery_acquires_waiting"))
    let count = "\(model.hasMoreKeys ? "first " : "")\(Numbers.grouped(Double(model.keys.count)))"
    return Panel(title: "Keys (\(count), \(held) held, \(waiting) waiting)", lines: table(list, rows), minimum: 3)
  }

  /// Only what can be seen is measured: a cluster may have many thousands of keys.
  private func table(_ list: ListPage, _ rows: [ListPage.Row]) -> [Line] {
    guard !rows.isEmpty else { return [[Span(list.empty, .dim)]] }
    var table = TextTable(columns: list.columns)
    table.rows = rows.prefix(40).map { row in
      TextTable.Row(cells: row.cells.map { Span($0.text.printable(isUTF8: isUTF8), $0.style) })
    }
    return table.lines(width: column)
  }
}

extension String {
  /// With spaces behind it.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - displayWidth)) }
}
