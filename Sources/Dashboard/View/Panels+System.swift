import Telemetry
import TimeAndChance

// How the system does: leases, failures, times, services and the log.
extension Panels {
  var leases: Panel {
    let counters: [(String, String, Bool)] = [
      ("granted", "chancery_leases_granted_total", false), ("queued for", "chancery_acquires_queued_total", false),
      ("renewed", "chancery_leases_renewed_total", false), ("released", "chancery_leases_released_total", false),
      ("expired", "chancery_leases_expired_total", true), ("lost", "chancery_leases_lost_total", true),
      ("stale commits refused", "chancery_batches_refused_total", true),
    ]
    var table = TextTable(columns: [
      .init("LEASES"), .init("PER SECOND", isNumber: true), .init("TOTAL", isNumber: true),
    ])
    table.rows = counters.map { name, metric, isBad in
      let total = model.total(metric)
      let rate = model.rate(metric)
      return TextTable.Row(cells: [
        Span(name), Span(rateText(metric)),
        Span(Numbers.grouped(total), isBad && rate ?? 0 > 0 ? .bad : isBad && total > 0 ? .warning : .plain),
      ])
    }
    return Panel(title: "Leases", lines: table.lines(width: column), minimum: 2)
  }

  /// The same in a line.
  var leasesInBrief: [Line] {
    let bad = [
      ("expired", "chancery_leases_expired_total"), ("lost", "chancery_leases_lost_total"),
      ("stale", "chancery_batches_refused_total"),
    ].flatMap { name, metric in
      let total = model.total(metric)
      return [Span("  \(name) ", .dim), Span(Numbers.grouped(total), total > 0 ? .warning : .plain)]
    }
    return [[Span("granted  ", .dim), Span(rateText("chancery_leases_granted_total") + "/s")] + bad]
  }

  var failures: Panel {
    var table = TextTable(columns: [
      .init("CAUSE"), .init("LAST MINUTE", isNumber: true), .init("TOTAL", isNumber: true),
    ])
    table.rows = model.failures.prefix(50).map { failure in
      TextTable.Row(cells: [
        Span(failure.cause.printable(isUTF8: isUTF8), failure.lastMinute > 0 ? .bad : .plain),
        Span(Numbers.grouped(failure.lastMinute)), Span(Numbers.grouped(failure.total)),
      ])
    }
    return Panel(
      title: "Failures", lines: table.rows.isEmpty ? [[Span("none", .good)]] : table.lines(width: column), minimum: 2)
  }

  /// How long things take, in the last seconds and in the last minute.
  var times: Panel {
    var table = TextTable(columns: [
      .init("TIME"), .init("P50", isNumber: true), .init("P99", isNumber: true),
      .init("MINUTE'S P99", isNumber: true, rank: 2), .init("PER SECOND", isNumber: true, rank: 1),
    ])
    table.rows = MetricNames.times.map { name in
      let times = model.times(name)
      let rate = times.count == 0 ? "-" : Numbers.short(Double(times.count) / DashboardModel.window.inSeconds)
      let texts = [times.seconds(0.5), times.seconds(0.99), model.times(name, over: History.span).seconds(0.99)]
      return TextTable.Row(cells: [Span(name.what)] + texts.map { Span($0.map(Numbers.time) ?? "-") } + [Span(rate)])
    }
    return Panel(title: "Times", lines: table.lines(width: column), minimum: 2)
  }

  /// What was reported last, over the whole width.
  var log: Panel {
    var table = TextTable(columns: [
      .init("TIME"), .init("REPORTER"), .init("EVENT"), .init("MESSAGE"),
    ])
    table.rows = model.events.prefix(50).map { event in
      let style: Style =
        switch event.level {
        case .info: .plain
        case .warning: .warning
        case .error: .bad
        }
      let texts = [event.reporter, event.name, event.message].map { $0.printable(isUTF8: isUTF8) }
      return TextTable.Row(
        cells: [Span(event.time, .dim), Span(texts[0]), Span(texts[1], style), Span(texts[2])])
    }
    // A heading says nothing here that cannot be seen.
    let lines = Array(table.lines(width: width).dropFirst())
    return Panel(title: "Log", lines: lines.isEmpty ? [[Span("nothing was reported", .dim)]] : lines, minimum: 1)
  }

  var services: Panel {
    var table = TextTable(columns: [.init("SERVICE"), .init("NAME"), .init("HEARD", isNumber: true)])
    table.rows = model.services.filter { !$0.incarnation.isEmpty }.map { service in
      let style: Style = !service.isConnected ? .bad : service.age > DashboardModel.silence ? .warning : .plain
      return TextTable.Row(cells: [
        Span(service.kind.printable(isUTF8: isUTF8)), Span(service.name.printable(isUTF8: isUTF8), style),
        Span(Numbers.time(service.age.inSeconds)),
      ])
    }
    let lines = table.rows.isEmpty ? [[Span("no service reports", .dim)]] : table.lines(width: column)
    return Panel(title: "Services", lines: lines, minimum: 2)
  }
}
