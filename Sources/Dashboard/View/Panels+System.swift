// How the system does: leases, failures, times and services.
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

  /// How long things took in the last minute, the slowest first.
  var times: Panel {
    var table = TextTable(columns: [
      .init("WHAT"), .init("COUNT", isNumber: true, rank: 1), .init("P50", isNumber: true),
      .init("P99", isNumber: true),
    ])
    let all = model.latencies.filter { $0.key.incarnation.isEmpty }.map { name, history in
      (Self.title(name), history.distribution(over: History.span))
    }
    table.rows = all.filter { $0.1.count > 0 }.sorted { left, right in
      (left.1.quantile(0.99) ?? 0, right.0) > (right.1.quantile(0.99) ?? 0, left.0)
    }.map { name, distribution in
      TextTable.Row(cells: [
        Span(name.printable(isUTF8: isUTF8)), Span(Numbers.grouped(distribution.count)),
        Span(distribution.quantile(0.5).map(Numbers.time) ?? ""),
        Span(distribution.quantile(0.99).map(Numbers.time) ?? ""),
      ])
    }
    let lines = table.rows.isEmpty ? [[Span("nothing in the last minute", .dim)]] : table.lines(width: column)
    return Panel(title: "Times, last minute", lines: lines, minimum: 3)
  }

  private static func title(_ name: LatencyName) -> String {
    var family = name.family
    if family.hasPrefix("chancery_") { family.removeFirst("chancery_".count) }
    if family.hasSuffix("_seconds") { family.removeLast("_seconds".count) }
    let method = name.method.split(separator: ".").last.map(String.init) ?? ""
    switch family {
    case "rpc_client_call_duration": return "\(name.kind) calls \(method)"
    case "rpc_server_call_duration": return "\(name.kind) serves \(method)"
    default:
      let words = family.split(separator: "_").joined(separator: " ")
      return "\(name.kind) \(words)" + (method.isEmpty ? "" : " \(method)")
    }
  }

  var services: Panel {
    var table = TextTable(columns: [.init("SERVICE"), .init("NAME"), .init("HEARD", isNumber: true)])
    table.rows = model.services.filter { !$0.incarnation.isEmpty }.map { service in
      let style: Style = !service.isConnected ? .bad : service.age > DashboardModel.silence ? .warning : .plain
      return TextTable.Row(cells: [
        Span(service.kind.printable(isUTF8: isUTF8)), Span(service.name.printable(isUTF8: isUTF8), style),
        Span(Numbers.time(service.age.seconds)),
      ])
    }
    let lines = table.rows.isEmpty ? [[Span("no service reports", .dim)]] : table.lines(width: column)
    return Panel(title: "Services", lines: lines, minimum: 2)
  }
}
