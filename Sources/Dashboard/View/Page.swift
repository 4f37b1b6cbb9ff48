import Telemetry
import TimeAndChance

/// A page of the dashboard.
typealias Page = ViewState.Page

/// A list that rows are chosen from: what stands in it, how it can be sorted, and what is known of each row.
struct ListPage {
  /// A row.
  struct Row {
    /// What it is about, which stays when the list is sorted anew.
    var id: String
    var cells: [Span]
    /// All that is known of it, for the detail.
    var details: [(name: String, value: String)]
    /// What it is sorted by, one value for each order; the greatest first.
    var keys: [Double]
  }

  var columns: [TextTable.Column]
  /// The names of the orders; the first is how the rows come.
  var orders: [String]
  var rows: [Row]
  /// Said when there is no row.
  var empty: String

  /// The name of the order that is chosen.
  func orderName(_ view: ViewState) -> String { orders[(view.order[view.page] ?? 0) % orders.count] }

  /// The rows that pass the filter, in the order that is chosen.
  func shown(_ view: ViewState) -> [Row] {
    let filter = view.filter.lowercased()
    let rows =
      filter.isEmpty
      ? rows : rows.filter { row in row.cells.contains { $0.text.lowercased().contains(filter) } }
    let order = (view.order[view.page] ?? 0) % orders.count
    guard order > 0 else { return rows }
    // Equal ones stay in the order in which they came.
    return rows.enumerated().sorted { left, right in
      let (one, other) = (left.element.keys[order - 1], right.element.keys[order - 1])
      return one == other ? left.offset < right.offset : one > other
    }.map(\.element)
  }
}

extension ViewState.Page {
  /// The list of a page that has one.
  static func list(_ page: Page, _ model: DashboardModel, _ now: ContinuousClock.Instant) -> ListPage? {
    switch page {
    case .jobs: jobs(model)
    case .signers: signers(model)
    case .keys: keys(model, now)
    case .overview, .system: nil
    }
  }

  private static func jobs(_ model: DashboardModel) -> ListPage {
    let rows = model.jobs.map { job in
      let rate = job.isOpen ? model.jobHistories[job.id]?.rate(over: DashboardModel.window) : nil
      let eta = model.remaining(job).map(Texts.eta) ?? ""
      let percent = job.isPlanned ? Numbers.percent(job.ended, of: job.planned) : "?"
      return ListPage.Row(
        id: job.id,
        cells: [
          Span(job.id), Span(job.state, Texts.style(jobState: job.state)), Span(job.algorithm), Span(percent),
          Span(Numbers.grouped(job.ended)), Span(Numbers.grouped(job.planned)),
          Span(Numbers.grouped(job.failed), job.failed > 0 ? .bad : .plain), Span(rate.map(Numbers.short) ?? ""),
          Span(eta),
        ],
        details: [
          ("job", job.id), ("state", job.state), ("source", job.source), ("algorithm", job.algorithm),
          ("batch size", Numbers.grouped(Double(job.batchSize))), ("priority", "\(job.priority)"),
          ("planned", Numbers.grouped(job.planned) + (job.isPlanned ? "" : " so far")),
          ("signed", Numbers.grouped(job.signed)), ("signed before", Numbers.grouped(job.alreadySigned)),
          ("failed", Numbers.grouped(job.failed)), ("batches leased", Numbers.grouped(job.batchesLeased)),
          ("records/s", rate.map(Numbers.short) ?? "-"), ("time left", eta.isEmpty ? "-" : eta),
        ],
        keys: [rate ?? 0, job.failed, job.planned])
    }
    return ListPage(
      columns: [
        .init("JOB"), .init("STATE"), .init("ALGORITHM", rank: 6), .init("DONE", isNumber: true),
        .init("ENDED", isNumber: true, rank: 4), .init("PLANNED", isNumber: true, rank: 5),
        .init("FAILED", isNumber: true, rank: 1), .init("REC/S", isNumber: true, rank: 3),
        .init("LEFT", isNumber: true, rank: 2),
      ],
      orders: ["newest", "rate", "failed", "size"], rows: rows, empty: "no jobs: submit one with 'chancery sign'")
  }

  private static func signers(_ model: DashboardModel) -> ListPage {
    let rows = model.signers.map { signer in
      let (half, most) = (Texts.time(signer.signing.seconds(0.5)), Texts.time(signer.signing.seconds(0.99)))
      let wait = Texts.time(signer.wait.seconds(0.99))
      let keys = signer.keys.map(String.init).joined(separator: " ")
      let left = signer.leaseLeft.map(Numbers.time) ?? ""
      return ListPage.Row(
        id: signer.name,
        cells: [
          Span(signer.name), Span(signer.state.rawValue, Texts.style(signer.state)),
          Span(signer.rate.map(Numbers.short) ?? ""), Span(half), Span(most), Span(wait),
          Span(Numbers.grouped(signer.inFlight)), Span(keys), Span(left), Span(Numbers.time(signer.age.inSeconds)),
        ],
        details: [
          ("signer", signer.name), ("id", signer.id.isEmpty ? "-" : signer.id), ("state", signer.state.rawValue),
          ("records/s", signer.rate.map(Numbers.short) ?? "-"), ("signed", Numbers.grouped(signer.signed)),
          ("signing a batch, p50", half.isEmpty ? "-" : half), ("signing a batch, p99", most.isEmpty ? "-" : most),
          ("waiting for a key, p50", signer.wait.seconds(0.5).map(Numbers.time) ?? "-"),
          ("waiting for a key, p99", wait.isEmpty ? "-" : wait),
          ("batches in flight", Numbers.grouped(signer.inFlight)), ("keys", keys.isEmpty ? "-" : keys),
          ("first lease ends in", left.isEmpty ? "-" : left),
          ("last heard", Numbers.time(signer.age.inSeconds) + " ago"),
        ],
        keys: [signer.rate ?? 0, signer.wait.seconds(0.99) ?? 0, signer.age.inSeconds])
    }
    return ListPage(
      columns: [
        .init("SIGNER"), .init("STATE"), .init("REC/S", isNumber: true), .init("P50", isNumber: true, rank: 3),
        .init("P99", isNumber: true, rank: 1), .init("WAIT", isNumber: true, rank: 2),
        .init("FLIGHT", isNumber: true, rank: 4), .init("KEYS", rank: 5), .init("LEASE", isNumber: true, rank: 5),
        .init("HEARD", isNumber: true, rank: 1),
      ],
      orders: ["name", "rate", "wait", "age"], rows: rows, empty: "no signers report")
  }

  private static func keys(_ model: DashboardModel, _ now: ContinuousClock.Instant) -> ListPage {
    let rows = model.keys.map { key in
      let used = model.keysUsed[key.id].map { $0.duration(to: now).inSeconds }
      let ago = used.map { $0 < 1 ? "now" : Numbers.clock($0) } ?? ""
      let holder = model.holderName(key.holder)
      return ListPage.Row(
        id: String(key.id),
        cells: [
          Span(String(key.id)), Span(key.algorithm), Span(key.state, key.state == "active" ? .plain : .warning),
          Span(Numbers.grouped(Double(key.uses))), Span(holder, .good), Span(ago), Span(key.label),
        ],
        details: [
          ("key", String(key.id)), ("algorithm", key.algorithm), ("state", key.state),
          ("uses (its epoch)", Numbers.grouped(Double(key.uses))), ("holder", holder.isEmpty ? "-" : holder),
          ("holder's id", key.holder.isEmpty ? "-" : key.holder),
          ("last seen leased", ago.isEmpty ? "not since this began" : ago == "now" ? ago : ago + " ago"),
          ("label", key.label.isEmpty ? "-" : key.label),
        ],
        keys: [Double(key.uses), key.holder.isEmpty ? 0 : 1, -(used ?? .infinity)])
    }
    return ListPage(
      columns: [
        .init("KEY", isNumber: true), .init("ALGORITHM", rank: 3), .init("STATE", rank: 1),
        .init("USES", isNumber: true), .init("HOLDER", rank: 0), .init("USED", isNumber: true, rank: 2),
        .init("LABEL", rank: 4),
      ],
      orders: ["id", "uses", "held", "last used"], rows: rows,
      empty: "no keys: make some with 'chancery keys generate'")
  }
}

/// Words that several pages use.
enum Texts {
  /// Nothing for no time.
  static func time(_ seconds: Double?) -> String { seconds.map(Numbers.time) ?? "" }

  static func eta(_ range: ClosedRange<Double>) -> String {
    let (soon, late) = (Numbers.clock(range.lowerBound.rounded(.up)), Numbers.clock(range.upperBound.rounded(.up)))
    return soon == late ? soon : "\(soon) - \(late)"
  }

  static func style(jobState: String) -> Style {
    switch jobState {
    case "running": .good
    case "paused": .warning
    case "cancelled": .bad
    default: .plain
    }
  }

  static func style(_ state: SignerSummary.State) -> Style {
    switch state {
    case .working: .good
    case .idle: .plain
    case .silent: .warning
    case .gone: .bad
    }
  }
}
