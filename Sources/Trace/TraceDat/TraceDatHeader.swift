import Bytes

/// The first bytes of a trace.dat (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt, "INITIAL FORMAT").
package struct TraceDatHeader {
  /// 6 or 7.
  var version: Int
  /// Size of a page of the ring buffer in bytes, as the recorded machine's user space has it.
  var pageSize: Int
  /// How sections are compressed, nil: not at all. Always nil in version 6.
  var compression: BlockDecoder.Format?
  /// Where the first section of options lies, 0 in version 6.
  var options: UInt64 = 0
  /// Where the rest of the file starts, in bytes.
  var byteCount: Int
  /// The numbers of the file are big-endian, those of its events too.
  var isBigEndian: Bool

  package static let magic: [UInt8] = [0x17, 0x08, 0x44] + Array("tracing".utf8)

  init(_ bytes: RawSpan) throws(TraceError) {
    guard bytes.byteCount > 0 else { throw TraceError(.isEmpty) }
    guard bytes.slice(at: 0, count: Self.magic.count)?.copied() == Self.magic else {
      throw TraceError(.isNotTraceDat, offset: 0)
    }
    var cursor = ByteCursor(bytes, at: Self.magic.count)
    var compressionName = "none"
    do throws(ByteCursor.Truncation) {
      let text = try cursor.terminatedText()
      version = Int(text) ?? 0
      guard version == 6 || version == 7 else {
        throw ByteCursor.Truncation(offset: Self.magic.count, needed: 0)
      }
      isBigEndian = try cursor.u8() != 0
      cursor.isSwapped = isBigEndian
      // Size of a `long` in user space: the kernel's is in header_page.
      _ = try cursor.u8()
      pageSize = Int(try cursor.u32())
      if version == 7 {
        compressionName = try cursor.terminatedText()
        _ = try cursor.terminatedText()
        options = try cursor.u64()
      }
      byteCount = cursor.offset
    } catch {
      if error.needed == 0 {
        let text = String(bytes.text(at: Self.magic.count).prefix(16))
        throw TraceError(.traceDatVersion(text), offset: UInt64(error.offset))
      }
      throw TraceError(.isCut(part: "header", needed: 64), offset: UInt64(bytes.byteCount))
    }
    guard Self.isPossible(pageSize: pageSize) else {
      throw TraceError(
        .isCorrupt(part: "header", reason: "it says that a page has \(pageSize) bytes"), offset: 14)
    }
    if compressionName != "none" {
      guard let format = BlockDecoder.Format(rawValue: compressionName) else {
        throw TraceError(.compression(String(compressionName.prefix(16))), offset: 18)
      }
      compression = format
    }
  }

  /// Pages have 4 to 64 KiB, sub-buffers of the ring buffer up to some hundred times that.
  static func isPossible(pageSize: Int) -> Bool { pageSize >= 64 && pageSize <= 1 << 24 }
}
