import Bytes

/// Reads the sections of a trace.dat of version 7, one at a time: u16 id, u16 flags (1: compressed),
/// u32 description, u64 size, then the body (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt, "FORMAT OF
/// THE SECTION HEADER").
struct TraceDatSections: ~Copyable {
  static let headerSize = 16
  /// A section holds formats or symbols: more than this is no section.
  private static let bodyLimit: UInt32 = 1 << 28

  private var inflated: InflatedSlots
  private let isBigEndian: Bool

  init(_ compression: BlockDecoder.Format?, isBigEndian: Bool) throws(TraceError) {
    self.isBigEndian = isBigEndian
    do throws(BlockDecoder.Failure) {
      inflated = try InflatedSlots(count: 1, compression)
    } catch {
      throw TraceError(.isCorrupt(part: "header", reason: error.reason))
    }
  }

  /// The body of the section at `offset`, decompressed; nil when no section of that id lies there.
  ///
  /// A compressed body says its size itself; the one in the header was 4 bytes too small in some
  /// versions of trace-cmd.
  @_lifetime(&self, copy file)
  mutating func body(
    _ id: UInt16, at offset: UInt64, in file: RawSpan
  ) throws(TraceError) -> RawSpan? {
    guard let place = Int(exactly: offset), file.u16(at: place, swapped: isBigEndian) == id,
      let flags = file.u16(at: place + 2, swapped: isBigEndian),
      let size = file.u64(at: place + 8, swapped: isBigEndian)
    else { return nil }
    let start = place + Self.headerSize
    guard flags & 1 != 0 else {
      guard let length = Int(exactly: size) else { return nil }
      return file.slice(at: start, count: length)
    }
    guard let packed = file.u32(at: start, swapped: isBigEndian),
      let unpacked = file.u32(at: start + 4, swapped: isBigEndian),
      let block = file.slice(at: start + 8, count: Int(packed))
    else { return nil }
    guard unpacked <= Self.bodyLimit else {
      throw TraceError(
        .isCorrupt(part: "section \(id)", reason: "it unpacks to \(unpacked) bytes"),
        offset: offset)
    }
    do throws(BlockDecoder.Failure) {
      try inflated.inflate(block, size: Int(unpacked), into: 0)
    } catch {
      throw TraceError(
        .isCorrupt(part: "section \(id)", reason: "it cannot be unpacked (\(error.reason))"),
        offset: offset)
    }
    return inflated.slot(0)
  }
}
