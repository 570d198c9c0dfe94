import Bytes

// Version 7: sections, found through the options (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt).
extension TraceDatParts {
  private enum Section {
    static let options: UInt16 = 0
    static let pageHeader: UInt16 = 16
    static let ftraceFormats: UInt16 = 17
    static let formats: UInt16 = 18
    static let symbols: UInt16 = 19
    static let threadNames: UInt16 = 21
  }

  mutating func readSections(_ bytes: RawSpan) throws(TraceError) {
    var sections = try TraceDatSections(header.compression, isBigEndian: header.isBigEndian)
    try takeOptions(bytes, &sections)
    buffers = options.buffers.filter(\.name.isEmpty) + options.buffers.filter { !$0.name.isEmpty }
    guard !buffers.isEmpty else {
      throw TraceError(options.hasText ? .hasNoEvents : .isWithoutOptions, offset: header.options)
    }
    try read(Section.pageHeader, "page header", bytes, &sections)
    try read(Section.ftraceFormats, "ftrace formats", bytes, &sections)
    guard try read(Section.formats, "event formats", bytes, &sections) else {
      throw TraceError(
        .isCorrupt(part: "event formats", reason: "they are not where the options say"),
        offset: options.sections[Section.formats])
    }
    // The others are good to have.
    do throws(TraceError) {
      try read(Section.symbols, "kernel symbols", bytes, &sections)
      try read(Section.threadNames, "saved command lines", bytes, &sections)
    } catch {
      warnings.append("\(error)")
    }
  }

  /// The options sections, each of which says where the next one is.
  private mutating func takeOptions(
    _ bytes: RawSpan, _ sections: inout TraceDatSections
  ) throws(TraceError) {
    var offset = header.options
    var seen: Set<UInt64> = []
    repeat {
      guard seen.insert(offset).inserted, seen.count < 64 else {
        throw TraceError(
          .isCorrupt(part: "list of options", reason: "it leads back into itself"), offset: offset)
      }
      guard let body = try sections.body(Section.options, at: offset, in: bytes) else {
        throw TraceError(.isWithoutOptions, offset: offset)
      }
      var cursor = ByteCursor(body, isSwapped: header.isBigEndian)
      do throws(ByteCursor.Truncation) {
        offset = try options.take(&cursor, version: 7)
      } catch {
        throw TraceError(
          .isCorrupt(part: "list of options", reason: "it ends within an option"), offset: offset)
      }
    } while offset != 0
  }

  /// Reads one section, false when the file has none of that kind.
  @discardableResult
  private mutating func read(
    _ id: UInt16, _ name: String, _ bytes: RawSpan, _ sections: inout TraceDatSections
  ) throws(TraceError) -> Bool {
    guard let offset = options.sections[id],
      let body = try sections.body(id, at: offset, in: bytes)
    else { return false }
    var cursor = ByteCursor(body, isSwapped: header.isBigEndian)
    do throws(ByteCursor.Truncation) {
      try take(id, &cursor)
    } catch {
      throw TraceError(
        .isCorrupt(
          part: name, reason: "it ends or is wrong at its byte \(error.offset)"), offset: offset)
    }
    return true
  }

  private mutating func take(
    _ id: UInt16, _ cursor: inout ByteCursor
  ) throws(ByteCursor.Truncation) {
    switch id {
    case Section.pageHeader: try takePageHeader(&cursor)
    case Section.ftraceFormats:
      if let parser = FormatParser(longSize: layout.longSize) {
        try formats.takeFtrace(&cursor, parser)
      }
    case Section.formats:
      if let parser = FormatParser(longSize: layout.longSize) {
        try formats.takeSystems(&cursor, parser)
      }
    case Section.symbols:
      kernelText = KernelSymbols.text(in: try cursor.slice(UInt64(try cursor.u32())))
    case Section.threadNames:
      threadNames = KernelSymbols.threadNames(in: try cursor.slice(try cursor.u64()))
    default: break
    }
  }
}
