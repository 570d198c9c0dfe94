import Bytes

/// Copies a trace.dat with other keys. Only the pages of events change; where they are compressed they get
/// other sizes, and every number that points behind them moves along.
struct TraceDatRedaction {
  private let parts: TraceDatParts
  private let pages: PageRedaction
  /// The data of all CPUs, as it lies in the file.
  private let regions: [Region]

  private struct Region {
    var offset: Int
    /// As the file says it; of compressed data not to be trusted.
    var size: Int
    var pageSize: Int
  }

  init(_ bytes: RawSpan) throws(Redaction.Failure) {
    do throws(TraceError) { parts = try TraceDatParts(bytes) } catch { throw .recording(error) }
    guard !parts.header.isBigEndian else {
      throw Redaction.Failure(cannot: "it was written on a big-endian machine")
    }
    guard !parts.isCut, !parts.options.hasText, parts.formats.unreadable == 0 else {
      throw Redaction.Failure(cannot: "parts of it are missing or are text, or no format tells")
    }
    pages = try PageRedaction(parts.layout, parts.formats.formats)
    var found: [Region] = []
    for buffer in parts.buffers {
      let pageSize = buffer.pageSize ?? parts.header.pageSize
      for cpu in buffer.cpus where cpu.size > 0 {
        guard let offset = Int(exactly: cpu.offset), let size = Int(exactly: cpu.size),
          bytes.slice(at: offset, count: size) != nil || parts.header.compression != nil,
          TraceDatHeader.isPossible(pageSize: pageSize)
        else { throw Redaction.Failure(cannot: "its end is missing") }
        found.append(Region(offset: offset, size: size, pageSize: pageSize))
      }
    }
    regions = found.sorted { $0.offset < $1.offset }
  }

  /// - Parameter sizes: what each CPU's data grew by, from a first pass; nil in that pass.
  /// - Returns: the same as this pass found it.
  func run(
    _ file: RawSpan, sizes: [Int]?, _ copy: PatchedCopy
  ) throws(Redaction.Failure) -> [Int] {
    let growth = sizes ?? regions.map { _ in 0 }
    var edits: [(offset: Int, number: UInt64)] = []
    if parts.header.version == 7, parts.header.compression != nil {
      edits = try TraceDatPointers(file, parts.header).moved { offset in
        var moved = offset
        for (region, grown) in zip(regions, growth) where region.offset < offset { moved += grown }
        return moved
      } sizes: { offset in
        regions.firstIndex { $0.offset == offset }.map { growth[$0] } ?? 0
      }
      edits.sort { $0.offset < $1.offset }
    }
    var found: [Int] = []
    var next = 0
    for region in regions {
      while next < edits.count, edits[next].offset < region.offset {
        try copy.replace(file, at: edits[next].offset, with: edits[next].number)
        next += 1
      }
      found.append(try rewrite(region, file, copy))
    }
    for edit in edits[next...] { try copy.replace(file, at: edit.offset, with: edit.number) }
    try copy.copy(file, upTo: file.byteCount)
    return found
  }

  /// Returns by how much the region's data grew.
  private func rewrite(
    _ region: Region, _ file: RawSpan, _ copy: PatchedCopy
  ) throws(Redaction.Failure) -> Int {
    if let compression = parts.header.compression {
      return try rewriteChunks(region, compression, file, copy)
    }
    var offset = region.offset
    let end = region.offset + region.size
    while offset < end {
      guard offset + region.pageSize <= end,
        var page = file.slice(at: offset, count: region.pageSize)?.copied()
      else { throw Redaction.Failure(cannot: "a page of events is cut off", at: offset) }
      try pages.rewrite(&page, copy.masked)
      try copy.replace(file, at: offset, length: region.pageSize, with: page)
      offset += region.pageSize
    }
    return 0
  }

  /// u32 count; per chunk u32 packed size, u32 unpacked size, data: whole pages each.
  private func rewriteChunks(
    _ region: Region, _ compression: BlockDecoder.Format, _ file: RawSpan, _ copy: PatchedCopy
  ) throws(Redaction.Failure) -> Int {
    var slots: InflatedSlots
    do throws(BlockDecoder.Failure) {
      slots = try InflatedSlots(count: 1, compression)
    } catch {
      throw Redaction.Failure(cannot: error.reason)
    }
    guard let count = file.u32(at: region.offset) else {
      throw Redaction.Failure(cannot: "its end is missing", at: region.offset)
    }
    var place = region.offset + 4
    var growth = 0
    for _ in 0..<count {
      guard let packed = file.u32(at: place), let unpacked = file.u32(at: place + 4),
        Int(unpacked) <= 64 * region.pageSize, Int(unpacked) % region.pageSize == 0,
        let block = file.slice(at: place + 8, count: Int(packed))
      else { throw Redaction.Failure(cannot: "compressed events are cut off", at: place) }
      do throws(BlockDecoder.Failure) {
        try slots.inflate(block, size: Int(unpacked), into: 0)
      } catch {
        throw Redaction.Failure(cannot: "events cannot be unpacked: \(error.reason)", at: place)
      }
      var output: [UInt8] = []
      var start = 0
      while start < Int(unpacked) {
        guard var page = slots.slot(0).slice(at: start, count: region.pageSize)?.copied() else {
          throw Redaction.Failure(cannot: "compressed events are cut off", at: place)
        }
        try pages.rewrite(&page, copy.masked)
        output += page
        start += region.pageSize
      }
      guard let encoded = BlockEncoder.encode(output, compression) else {
        throw Redaction.Failure(cannot: "there is no memory to compress it")
      }
      let size = UInt32(truncatingIfNeeded: encoded.count)
      let head = (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * UInt32($0))) }
      try copy.replace(file, at: place, length: 4, with: head)
      try copy.replace(file, at: place + 8, length: Int(packed), with: encoded)
      growth += encoded.count - Int(packed)
      place += 8 + Int(packed)
    }
    return growth
  }
}
