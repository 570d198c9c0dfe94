import Bytes

// Version 6: one part after another (Documentation/trace-cmd/trace-cmd.dat.v6.5.txt).
extension TraceDatParts {
  private static let optionsMark = Array("options  \0".utf8)
  private static let recordsMark = Array("flyrecord\0".utf8)

  mutating func readLinear(_ bytes: RawSpan) throws(ByteCursor.Truncation) {
    var cursor = ByteCursor(bytes, at: header.byteCount, isSwapped: header.isBigEndian)
    try takePageHeader(&cursor)
    guard let parser = FormatParser(longSize: layout.longSize) else { return }
    try formats.takeFtrace(&cursor, parser)
    try formats.takeSystems(&cursor, parser)
    kernelText = KernelSymbols.text(in: try cursor.slice(UInt64(try cursor.u32())))
    try cursor.skip(UInt64(try cursor.u32()))
    threadNames = KernelSymbols.threadNames(in: try cursor.slice(try cursor.u64()))
    var cpus = try cursor.u32()
    cpuCount = Int(cpus)
    guard try takeOptions(&cursor) else { return }
    if let said = options.cpuCount, let count = UInt32(exactly: said) { cpus = count }
    buffers = [try TraceBuffer(top: &cursor, cpuCount: cpus)]
    if options.hasClock { clocks = try cursor.slice(try cursor.u64()).text() }
    // Each instance has a table like that of the top instance, where its option says.
    var total = buffers[0].cpus.count
    for instance in options.buffers where total < Int(TimeSpans.cpuLimit) {
      do throws(ByteCursor.Truncation) {
        var table = ByteCursor(bytes, isSwapped: header.isBigEndian)
        try table.skip(instance.offset)
        guard try table.slice(10).copied() == Self.recordsMark else { continue }
        var buffer = instance
        try buffer.takeTable(&table, cpuCount: cpus)
        total += buffer.cpus.count
        buffers.append(buffer)
      } catch {
        isCut = true
        warnings.append(
          "the file is cut: the table of the instance \(instance.name), at byte "
            + "\(instance.offset), is missing")
      }
    }
  }

  /// Options if there are any, then the mark of what follows; false when that is no ring buffer.
  private mutating func takeOptions(
    _ cursor: inout ByteCursor
  ) throws(ByteCursor.Truncation) -> Bool {
    var mark = try cursor.slice(10).copied()
    if mark == Self.optionsMark {
      _ = try options.take(&cursor, version: 6)
      mark = try cursor.slice(10).copied()
    }
    return mark == Self.recordsMark
  }
}
