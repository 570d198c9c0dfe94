import Bytes

/// Copies a perf.data with other keys. Compressed records come out as the records that they hold: their
/// sizes change anyway, and every perf reads both.
struct PerfDataRedaction {
  private let plan: SamplePlan
  /// Where the records lie, by file: of the main one, and of the others of a directory.
  private let records: [Range<Int>]
  /// Where the main file ends.
  private let mainEnd: Int
  private let places: [UInt64: KeyPlaces]
  /// In file mode: where the data ends and the table of feature sections begins, and how many it has.
  private let table: (offset: Int, count: Int)?

  init(_ map: borrowing MappedFile, path: String) throws(Redaction.Failure) {
    let parts: Parts
    do throws(TraceError) {
      parts = try PerfDataFile.parts(of: map, path: path, formats: nil)
      let bytes = map.bytes.extracting(first: map.parts.first?.upperBound ?? 0)
      let start = try StreamHeader(bytes)
      if start.isPipe {
        table = nil
      } else {
        let header = try PerfHeader(bytes, isSwapped: start.isSwapped)
        let count = (0..<256).count { header.hasFeature($0) }
        table = (Int(clamping: header.data.end ?? 0), count)
      }
    } catch {
      throw .recording(error)
    }
    guard !parts.plan.isSwapped else {
      throw Redaction.Failure(cannot: "it was written on a big-endian machine")
    }
    guard !parts.recording.isIncomplete, !parts.records.isEmpty else {
      throw Redaction.Failure(
        cannot: "its end or its other files are missing, so not every key can be found")
    }
    let known = Set(parts.formats.map(\.id))
    for source in parts.plan.sources where source.isTracepoint && source.layout.hasRaw {
      guard known.contains(UInt64(source.commonType)) else {
        throw Redaction.Failure(cannot: "it has no format for event \(source.commonType)")
      }
    }
    places = try KeyPlaces.table(parts.formats)
    plan = parts.plan
    records = parts.records
    mainEnd = map.parts.first?.upperBound ?? 0
  }

  /// - Parameters:
  ///   - file: the bytes of all files.
  ///   - number: which of them is written, the main one first.
  ///   - growth: bytes that its records need more than in the original.
  func run(
    _ file: RawSpan, file number: Int = 0, growth: Int, _ copy: PatchedCopy
  ) throws(Redaction.Failure) {
    guard number == 0 else {
      try copyRecords(file, records[number], copy)
      return try copy.copy(file, upTo: records[number].upperBound)
    }
    if table != nil, growth != 0 {
      // perf_header.data.size.
      try copy.replace(file, at: 48, with: moved(file.u64(at: 48), growth))
    }
    try copyRecords(file, records[0], copy)
    if let table, growth != 0 {
      for index in 0..<table.count {
        let entry = table.offset + index * 16
        try copy.replace(file, at: entry, with: moved(file.u64(at: entry), growth))
      }
    }
    try copy.copy(file, upTo: mainEnd)
  }

  private func moved(_ offset: UInt64?, _ growth: Int) -> UInt64 {
    (offset ?? 0) &+ UInt64(bitPattern: Int64(growth))
  }

  private func copyRecords(
    _ file: RawSpan, _ records: Range<Int>, _ copy: PatchedCopy
  ) throws(Redaction.Failure) {
    var chunks = RecordChunks()
    var lane: Int?
    var offset = records.lowerBound
    while offset < records.upperBound {
      guard let type = file.u32(at: offset), let size = file.u16(at: offset + 6),
        Int(size) >= RecordHeader.byteCount, Int(size) <= records.upperBound - offset,
        let record = file.slice(at: offset, count: Int(size))
      else { throw Redaction.Failure(cannot: "a record is cut off or corrupt", at: offset) }
      var following = 0
      switch type {
      case RecordKind.sample:
        for place in try keys(record, at: offset) { try copy.mask(file, at: offset + place) }
      case RecordKind.compressed, RecordKind.compressed2:
        let content = CompressedRecord.content(record, type, isSwapped: false)
        guard let packed = record.slice(at: content.start, count: content.count) else { break }
        try copy.copy(file, upTo: offset)
        let unpacked = try inflate(packed, &lane, &chunks, copy, at: offset)
        try copy.replace(file, at: offset, length: Int(size), with: unpacked)
      case RecordKind.tracingData: following = (Int(record.u32(at: 8) ?? 0) + 7) & ~7
      case RecordKind.auxTrace: following = Int(clamping: record.u64(at: 8) ?? 0)
      default: break
      }
      guard following <= records.upperBound - offset - Int(size) else {
        throw Redaction.Failure(cannot: "what follows a record is cut off", at: offset)
      }
      offset += Int(size) + following
    }
    if let lane, chunks.unparsedCount(lane) > 0 {
      throw Redaction.Failure(cannot: "its last compressed record is cut off", at: offset)
    }
  }

  /// The whole records that come out of a compressed one, with other keys.
  private func inflate(
    _ packed: RawSpan, _ known: inout Int?, _ chunks: inout RecordChunks, _ copy: PatchedCopy,
    at offset: Int
  ) throws(Redaction.Failure) -> [UInt8] {
    var output: [UInt8] = []
    var failure: Redaction.Failure?
    do throws(ZstdStream.Failure) {
      let lane: Int
      if let known { lane = known } else { lane = try chunks.addZstdLane() }
      known = lane
      var position = 0
      while failure == nil, try chunks.inflate(lane, packed, from: &position) {
        let end = takeRecords(
          chunks.newest(lane), from: chunks.parsedCount(lane), copy, &output, &failure)
        chunks.didParse(lane, upTo: end)
        chunks.release(before: chunks.number(lane))
      }
    } catch {
      throw Redaction.Failure(
        cannot: "a compressed record cannot be unpacked: \(error.reason)", at: offset)
    }
    if let failure { throw failure }
    return output
  }

  private func takeRecords(
    _ bytes: RawSpan, from start: Int, _ copy: PatchedCopy, _ output: inout [UInt8],
    _ failure: inout Redaction.Failure?
  ) -> Int {
    var offset = start
    while let type = bytes.u32(at: offset), let size = bytes.u16(at: offset + 6) {
      guard Int(size) >= RecordHeader.byteCount else {
        failure = Redaction.Failure(cannot: "a compressed record is corrupt")
        break
      }
      guard let record = bytes.slice(at: offset, count: Int(size)) else { break }
      var own = record.copied()
      if type == RecordKind.sample {
        do throws(Redaction.Failure) {
          for place in try keys(record, at: offset) { copy.mask(&own, at: place) }
        } catch { failure = error }
      }
      output += own
      offset += Int(size)
    }
    return offset
  }

  /// Where the keys of a sample lie, from its start.
  private func keys(_ sample: RawSpan, at offset: Int) throws(Redaction.Failure) -> [Int] {
    let number: UInt16
    switch plan.identity {
    case .single: number = 0
    case .id(let place):
      number = sample.u64(at: place).map { plan.index.source(of: $0) } ?? SourceIndex.none
    case .commonType(let types):
      let raw = plan.sources.first?.layout.raw(sample)
      number = raw.flatMap { sample.u16(at: $0.offset) }.flatMap { types[$0] } ?? SourceIndex.none
    }
    guard Int(number) < plan.sources.count else {
      throw Redaction.Failure(cannot: "a sample belongs to no event of the file", at: offset)
    }
    let source = plan.sources[Int(number)]
    guard source.isTracepoint, source.layout.hasRaw else { return [] }
    guard let raw = source.layout.raw(sample), let type = sample.u16(at: raw.offset),
      let places = places[UInt64(type)]
    else { throw Redaction.Failure(cannot: "a sample is of an event without a format", at: offset) }
    for place in places.offsets where place + 8 > raw.size {
      throw Redaction.Failure(cannot: "a sample is shorter than its format", at: offset)
    }
    return places.offsets.map { raw.offset + $0 }
  }
}
