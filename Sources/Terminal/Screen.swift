internal import CNcurses
internal import CPosix
public import Dashboard
internal import Glibc

/// The terminal, as a screen that frames are painted on and keys come from. It belongs to the thread that opened it.
///
/// While it is open, nothing else may write to the terminal: standard error is held back until it closes. However the
/// process ends but by SIGKILL, the terminal is left as it was.
public final class Screen {
  /// Why there can be no screen.
  public struct Unavailable: Error, CustomStringConvertible {
    /// In a few words.
    public let description: String
  }

  /// What the terminal shows.
  public let capabilities: Capabilities
  private let screen: OpaquePointer
  private let palette: Palette
  private var isOpen = true

  /// Opens the screen; signals and `waker` wake it. Throws when the terminal cannot do what a screen needs.
  public init(_ waker: Waker, usesColour: Bool) throws(Unavailable) {
    try Self.check()
    setlocale(LC_CTYPE, "")
    capabilities = Capabilities(isUTF8: String(cString: nl_langinfo(Int32(CODESET))) == "UTF-8")
    let leave: [String] = ["sgr0", "cnorm", "rmkx", "rmcup"]
    let restore = leave.compactMap { name in chancery_curses_string(name).map { String(cString: $0) } }.joined()
    let failure =
      restore.utf8.count > 512 ? E2BIG : chancery_terminal_take(waker.descriptor, restore, restore.utf8.count)
    guard failure == 0 else { throw Unavailable(description: String(cString: strerror(failure))) }
    guard let screen = chancery_curses_open() else {
      chancery_terminal_give_back()
      throw Unavailable(description: "the terminal type '\(Self.terminalType)' (TERM) cannot show a screen")
    }
    self.screen = screen
    palette = Palette(usesColour: usesColour && has_colors())
  }

  deinit { close() }

  /// Throws when the kind of terminal cannot do what a screen needs. Nothing is changed.
  public static func check() throws(Unavailable) {
    var error: Int32 = 0
    guard !terminalType.isEmpty, setupterm(nil, STDOUT_FILENO, &error) == OK else {
      throw Unavailable(description: "the terminal type '\(terminalType)' (TERM) is not known here")
    }
    guard chancery_curses_string("cup") != nil else {
      throw Unavailable(description: "the terminal type '\(terminalType)' (TERM) cannot place a cursor")
    }
  }

  private static var terminalType: String { getenv("TERM").map { String(cString: $0) } ?? "" }

  /// Columns and lines.
  public var size: (width: Int, height: Int) { (Int(chancery_curses_columns()), Int(chancery_curses_lines())) }

  /// Shows a frame; only what differs from the last one goes to the terminal. Waits for a terminal that is slow.
  public func paint(_ frame: Frame) {
    // What is put back because the process crashes stays so, however long that takes.
    guard chancery_terminal_is_taken() != 0 else { return }
    for row in 0..<frame.height {
      move(Int32(row), 0)
      for run in frame.runs(row: row) {
        palette.set(run.style)
        addstr(run.text)
      }
    }
    refresh()
  }

  /// The next key that was pressed, nil if there is none that means something.
  public func nextKey() -> PressedKey? {
    var code: wint_t = 0
    switch get_wch(&code) {
    case OK: return PressedKey(character: code)
    case KEY_CODE_YES: return PressedKey(function: Int32(code))
    default: return nil
    }
  }

  /// Takes over the size that the terminal has now, and paints all anew with the next frame.
  public func resize() {
    var (columns, lines): (Int32, Int32) = (0, 0)
    chancery_terminal_size(&columns, &lines)
    if columns > 0, lines > 0 { resizeterm(lines, columns) }
    chancery_curses_forget()
  }

  /// Leaves the terminal to others and stops the process; when it is continued, takes the terminal back.
  public func suspend() {
    endwin()
    chancery_terminal_stop()
    takeBack()
  }

  /// Sets the terminal up again, which others have had.
  public func takeBack() {
    reset_prog_mode()
    resize()
    refresh()
  }

  /// Leaves the terminal as it was.
  public func close() {
    guard isOpen else { return }
    isOpen = false
    endwin()
    chancery_terminal_give_back()
    delscreen(screen)
  }
}

/// What came from the keyboard.
public enum PressedKey: Sendable, Hashable {
  /// A key that means something to the dashboard.
  case key(Key)
  /// Ctrl-L: paint everything anew.
  case redraw
  /// Something else.
  case other

  init(character: wint_t) {
    switch character {
    case 9: self = .key(.tab)
    case 10, 13: self = .key(.enter)
    case 12: self = .redraw
    case 27: self = .key(.escape)
    case 8, 127: self = .key(.backspace)
    default:
      let scalar = Unicode.Scalar(character).flatMap { $0.properties.generalCategory == .control ? nil : $0 }
      self = scalar.map { .key(.character(Character($0))) } ?? .other
    }
  }

  init(function: Int32) {
    switch function {
    case KEY_UP: self = .key(.up)
    case KEY_DOWN: self = .key(.down)
    case KEY_PPAGE: self = .key(.pageUp)
    case KEY_NPAGE: self = .key(.pageDown)
    case KEY_HOME: self = .key(.home)
    case KEY_END: self = .key(.end)
    case KEY_ENTER: self = .key(.enter)
    case KEY_BTAB: self = .key(.backTab)
    case KEY_BACKSPACE: self = .key(.backspace)
    default: self = .other
    }
  }
}
