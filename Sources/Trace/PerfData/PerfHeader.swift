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

  init(_ bytes: RawSpan, isSwapped: Bool) throws(TraceError) {
    var cursor = ByteCursor(bytes, at: 16, isSwapped: isSwapped)
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
    if isSwapped, !hasFeature(Self.hostName) { turnWords() }
  }

  /// The bitmap is an array of `long`, whose size in the writer the header does not say. HOSTNAME is
  /// always set: where it is missing among 64-bit words, the writer's had 32 bits
  /// (tools/perf/util/header.c, perf_file_header__read).
  private mutating func turnWords() {
    let asRead = features
    for index in 0..<4 { features[index] = features[index] << 32 | features[index] >> 32 }
    if !hasFeature(Self.hostName) { features = asRead }
  }

  private static let hostName = 3

  func hasFeature(_ bit: Int) -> Bool { features[bit / 64] & (1 << UInt64(bit % 64)) != 0 }
}
