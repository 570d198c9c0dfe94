import Bytes

/// The event formats of a recording, as trace-cmd and perf lay them out one after another
/// (Documentation/trace-cmd/trace-cmd.dat.v6.5.txt, "FTRACE EVENT FORMATS", "EVENT FORMATS").
struct EventFormatList {
  /// The recorded machine's byte order, which the fields of its events are in.
  var isBigEndian = false
  private(set) var formats: [EventFormat] = []
  /// Formats that libtraceevent could not read.
  private(set) var unreadable = 0

  /// Formats of ftrace's own events: u32 count, then u64 size and text of each.
  mutating func takeFtrace(
    _ cursor: inout ByteCursor, _ parser: borrowing FormatParser
  ) throws(ByteCursor.Truncation) {
    try take(&cursor, parser, system: "ftrace")
  }

  /// Formats by system: u32 count of systems, then name (with NUL) and formats of each.
  mutating func takeSystems(
    _ cursor: inout ByteCursor, _ parser: borrowing FormatParser
  ) throws(ByteCursor.Truncation) {
    for _ in 0..<(try cursor.u32()) {
      let system = try cursor.terminatedText()
      try take(&cursor, parser, system: system)
    }
  }

  private mutating func take(
    _ cursor: inout ByteCursor, _ parser: borrowing FormatParser, system: String
  ) throws(ByteCursor.Truncation) {
    for _ in 0..<(try cursor.u32()) {
      let text = try cursor.slice(try cursor.u64())
      if var format = parser.parse(text, system: system) {
        format.isBigEndian = isBigEndian
        formats.append(format)
      } else {
        unreadable += 1
      }
    }
  }
}
