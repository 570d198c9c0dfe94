import Bytes

/// All of a trace.dat but its events, whichever version it has.
struct TraceDatParts {
  let header: TraceDatHeader
  var layout = PageLayout()
  var formats = EventFormatList()
  var options = TraceDatOptions()
  /// The top instance of the ring buffer first, if it was recorded; it has no name.
  var buffers: [TraceBuffer] = []
  /// The clock's choice where version 6 has it: behind the top instance's table.
  var clocks: String?
  /// As version 6 says it.
  var cpuCount: Int?
  var kernelText: (symbol: String, address: UInt64)?
  var threadNames: [Int32: String] = [:]
  /// A part that is not needed is missing.
  var isCut = false
  var warnings: [String] = []

  init(_ bytes: RawSpan) throws(TraceError) {
    header = try TraceDatHeader(bytes)
    layout = PageLayout(isBigEndian: header.isBigEndian)
    formats.isBigEndian = header.isBigEndian
    if header.version == 6 {
      do throws(ByteCursor.Truncation) {
        try readLinear(bytes)
      } catch {
        throw TraceError(
          .isCut(part: "head", needed: error.needed), offset: UInt64(error.offset))
      }
    } else {
      try readSections(bytes)
    }
    guard buffers.contains(where: { !$0.cpus.isEmpty }) else { throw TraceError(.hasNoEvents) }
    if formats.unreadable > 0 {
      warnings.append("\(formats.unreadable) event formats of the recording cannot be parsed")
    }
    if let shift = options.timeShift {
      warnings.append(
        "this is a guest's recording, made together with its host's: "
          + (shift.isKnown
            ? "its times are those of the host's clock (TIME_SHIFT)"
            : "the correction of its clock (TIME_SHIFT) is empty, its times are the guest's own"))
    }
  }

  /// Where another trace.dat begins behind the data of all CPUs, in bytes.
  func next(in bytes: RawSpan) -> Int? {
    var start = header.byteCount
    for cpu in buffers.lazy.flatMap(\.cpus) where cpu.size > 0 {
      guard let end = end(of: cpu, in: bytes) else { return nil }
      start = max(start, end)
    }
    guard start < bytes.byteCount else { return nil }
    for offset in start..<bytes.byteCount
    where bytes.u8(at: offset) == TraceDatHeader.magic[0]
      && bytes.slice(at: offset, count: TraceDatHeader.magic.count)?.copied()
        == TraceDatHeader.magic
    {
      return offset
    }
    return nil
  }

  /// Where the data of a CPU ends, in bytes; nil: behind the end of the file. How long compressed data is, only its chunks
  /// say (``CPUStream``).
  private func end(of cpu: TraceBuffer.CPU, in bytes: RawSpan) -> Int? {
    guard var place = Int(exactly: cpu.offset), place < bytes.byteCount else { return nil }
    if header.compression == nil {
      return bytes.slice(at: cpu.offset, count: cpu.size) == nil ? nil : place + Int(cpu.size)
    }
    guard let count = bytes.u32(at: place, swapped: header.isBigEndian) else { return nil }
    place += 4
    for _ in 0..<count {
      guard let packed = bytes.u32(at: place, swapped: header.isBigEndian) else { return nil }
      place += 8 + Int(packed)
    }
    return place <= bytes.byteCount ? place : nil
  }

  /// "header_page", u64 size and text; "header_event", u64 size and text.
  mutating func takePageHeader(_ cursor: inout ByteCursor) throws(ByteCursor.Truncation) {
    _ = try cursor.terminatedText()
    let place = cursor.offset
    guard
      let layout = PageLayout(
        try cursor.slice(try cursor.u64()), isBigEndian: header.isBigEndian)
    else {
      throw ByteCursor.Truncation(offset: place, needed: 0)
    }
    self.layout = layout
    _ = try cursor.terminatedText()
    try cursor.skip(try cursor.u64())
  }
}
