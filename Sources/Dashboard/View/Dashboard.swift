/// What a terminal can show.
public struct Capabilities: Sendable, Hashable {
  /// Whether it shows more than ASCII.
  public var isUTF8: Bool

  /// What a terminal can show.
  public init(isUTF8: Bool) { self.isUTF8 = isUTF8 }
}

/// The dashboard: what is known and what of it is to be seen. A value; the shell around it brings readings and keys,
/// and paints frames.
public struct Dashboard: Sendable {
  /// What is known.
  public var model: DashboardModel
  /// What of it is to be seen.
  public var view = ViewState()
  /// The terminal's columns and lines.
  public var size = (width: 80, height: 24)
  /// What the terminal can show.
  public var capabilities: Capabilities
  /// What was known, and when, when the dashboard was paused.
  private var frozen: (model: DashboardModel, at: ContinuousClock.Instant)?

  /// A dashboard of what is known, for a terminal of 80 by 24 until its size is set.
  public init(_ model: DashboardModel, _ capabilities: Capabilities) {
    (self.model, self.capabilities) = (model, capabilities)
  }

  /// Takes a key; returns what the shell is to do.
  public mutating func handle(_ key: Key, at now: ContinuousClock.Instant) -> ViewState.Effect? {
    let (shown, then) = frozen ?? (model, now)
    let rows = Page.list(view.page, shown, then)?.shown(view).map(\.id) ?? []
    let canvas = Canvas(width: size.width, height: size.height, capabilities)
    let effect = view.handle(key, rows: rows, excess: canvas.excess(shown, view, then))
    if !view.isPaused { frozen = nil } else if frozen == nil { frozen = (model, now) }
    return effect
  }

  /// The screen at `now`: a pure function of that and of this value.
  public func frame(now: ContinuousClock.Instant) -> Frame {
    let (model, now) = frozen ?? (self.model, now)
    var canvas = Canvas(width: size.width, height: size.height, capabilities)
    canvas.draw(model, view, now)
    return canvas.frame
  }
}
