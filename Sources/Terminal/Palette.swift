internal import CNcurses
import Dashboard

/// How each style looks on this terminal: in colours if it has them, in any case in weights.
struct Palette {
  private let usesColour: Bool

  /// Each style has the pair of colours of its place.
  init(usesColour: Bool) {
    self.usesColour = usesColour
    guard usesColour else { return }
    start_color()
    use_default_colors()
    for (index, style) in Style.allCases.enumerated() {
      if let colour = Self.colour(of: style) { init_pair(Int16(index + 1), Int16(colour), -1) }
    }
  }

  /// What is written from now on looks so.
  func set(_ style: Style) {
    let index = Style.allCases.firstIndex(of: style)!
    let hasPair = usesColour && Self.colour(of: style) != nil
    chancery_curses_set(Self.weight(of: style), hasPair ? Int16(index + 1) : 0)
  }

  private static func colour(of style: Style) -> Int32? {
    switch style {
    case .plain, .dim, .bar: nil
    case .title, .graph, .selected: COLOR_CYAN
    case .good: COLOR_GREEN
    case .warning: COLOR_YELLOW
    case .bad: COLOR_RED
    }
  }

  private static func weight(of style: Style) -> attr_t {
    switch style {
    case .plain, .good, .graph: 0
    case .dim: chancery_curses_dim()
    case .title, .warning: chancery_curses_bold()
    case .bar: chancery_curses_reverse()
    case .selected: chancery_curses_reverse() | chancery_curses_bold()
    case .bad: chancery_curses_bold() | chancery_curses_underline()
    }
  }
}
