import Bytes

/// The header of a perf.data in file mode: where its parts lie
/// (tools/perf/Documentation/perf.data-file-format.txt, `struct perf_header`).
struct PerfHeader {
  /// A part of the file, in bytes.
  struct Section: Equatable {
    var offset: UInt64
    var size: UInt64

    /// nil when it does not fit into 64 bits.
    var end: UInt64? {
      let (end, overflow) = offset.addingReportingOverflow(size)
      return overflow ? nil : end
    }
  }

  /// Size of one entry of the attr table, in bytes: that of an attr, and a section of ids.
  var attributeStride: UInt64
  var attributes: Section
  var data: Section
  /// One bit per feature, in 64-bit words.
  var features: InlineArray<4, UInt64>

  static let byteCount = 104
  private static let magic = Array("PERFILE2".utf8)
  /// What a perf.data starts with: also those of another byte order, and of version 1.
  static let magics = [magic, magic.reversed(), Array("PERFFILE".utf8)]

  init(_ bytes: RawSpan) throws(TraceError) {
    guard bytes.byteCount > 0 else { throw TraceError(.isEmpty) }
    guard let start = bytes.slice(at: 0, count: 8)?.copied() else {
      throw TraceError(.isNotPerfData, offset: 0)
    }
    if start == Self.magic.reversed() { throw TraceError(.isBigEndian, offset: 0) }
    if start == Array("PERFFILE".utf8) { throw TraceError(.isVersion1, offset: 0) }
    guard start == Self.magic else { throw TraceError(.isNotPerfData, offset: 0) }
    if bytes.u64(at: 8) == 16 { throw TraceError(.isPipeMode, offset: 8) }
    if let size = bytes.u64(at: 8), size < UInt64(Self.byteCount) {
      throw TraceError(.headerSize(size), offset: 8)
    }
    var cursor = ByteCursor(bytes, at: 16)
    do throws(ByteCursor.Truncation) {
      attributeStride = try cursor.u64()
      attributes = Section(offset: try cursor.u64(), size: try cursor.u64())
      data = Section(offset: try cursor.u64(), size: try cursor.u64())
      try cursor.skip(16)
      features = [try cursor.u64(), try cursor.u64(), try cursor.u64(), try cursor.u64()]
    } catch {
      throw TraceError(
        .isCut(part: "header", needed: UInt64(Self.byteCount)), offset: UInt64(bytes.byteCount))
    }
  }

  func hasFeature(_ bit: Int) -> Bool { features[bit / 64] & (1 << UInt64(bit % 64)) != 0 }
}
