import Bytes

/// The first 16 bytes of every perf.data: how to read the rest.
struct StreamHeader {
  /// Written on a machine of the other byte order.
  var isSwapped: Bool
  /// Pipe mode: nothing but records follows. What decides is the size that the header gives itself
  /// (16), not whether the input is a pipe: streams are often saved to files.
  var isPipe: Bool

  static let byteCount = 16
  private static let magic = Array("PERFILE2".utf8)

  /// What a perf.data starts with, whatever its mode, byte order and version.
  static func isPerfData(_ start: [UInt8]) -> Bool {
    [magic, magic.reversed(), Array("PERFFILE".utf8)].contains { start.starts(with: $0) }
  }

  init(_ bytes: RawSpan) throws(TraceError) {
    guard bytes.byteCount > 0 else { throw TraceError(.isEmpty) }
    guard let start = bytes.slice(at: 0, count: 8)?.copied() else {
      throw TraceError(.isNotPerfData, offset: 0)
    }
    if start == Array("PERFFILE".utf8) { throw TraceError(.isVersion1, offset: 0) }
    isSwapped = start == Self.magic.reversed()
    guard isSwapped || start == Self.magic else { throw TraceError(.isNotPerfData, offset: 0) }
    guard let size = bytes.u64(at: 8, swapped: isSwapped) else {
      throw TraceError(.isCut(part: "header", needed: 16), offset: UInt64(bytes.byteCount))
    }
    isPipe = size == UInt64(Self.byteCount)
    if !isPipe, size < UInt64(PerfHeader.byteCount) {
      throw TraceError(.headerSize(size), offset: 8)
    }
  }
}
