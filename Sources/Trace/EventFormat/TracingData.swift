import Bytes

/// The tracing data of a recording: what the recorded kernel's tracefs says about its events.
///
/// The layout is that of the head of a trace.dat of version 6
/// (Documentation/trace-cmd/trace-cmd.dat.v6.5.txt; perf: tools/perf/util/trace-event-info.c):
/// header_page, header_event, ftrace formats, formats by system, kallsyms, printk formats, and from
/// 0.6 on the saved command lines. What follows the formats is not needed here and not read.
package struct TracingData {
  var formats: [EventFormat] = []
  /// Formats that libtraceevent could not read, as "system".
  var unreadable: Int = 0

  /// Why tracing data cannot be read.
  package struct Failure: Error {
    /// From the start of the tracing data, in bytes.
    var offset: Int
    var reason: String
  }

  package init(_ bytes: RawSpan) throws(Failure) {
    var cursor = ByteCursor(bytes)
    do throws(ByteCursor.Truncation) {
      let magic = try cursor.slice(10)
      guard magic.copied() == [0x17, 0x08, 0x44] + Array("tracing".utf8) else {
        throw ByteCursor.Truncation(offset: 0, needed: 0)
      }
      _ = try cursor.terminatedText()
      let isBigEndian = try cursor.u8() != 0
      let longSize = Int(try cursor.u8())
      try cursor.skip(4)
      guard longSize == 8 || longSize == 4 else {
        throw ByteCursor.Truncation(offset: cursor.previous, needed: 0)
      }
      cursor.isSwapped = isBigEndian
      for _ in 0..<2 {
        _ = try cursor.terminatedText()
        try cursor.skip(try cursor.u64())
      }
      guard let parser = FormatParser(longSize: longSize) else { return }
      var list = EventFormatList()
      list.isBigEndian = isBigEndian
      defer {
        formats = list.formats
        unreadable = list.unreadable
      }
      try list.takeFtrace(&cursor, parser)
      try list.takeSystems(&cursor, parser)
    } catch {
      throw Failure(
        offset: error.offset,
        reason: error.needed == 0 ? "unexpected value" : "\(error.needed) bytes are missing")
    }
  }
}
