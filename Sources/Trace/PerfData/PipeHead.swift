import Bytes

/// What a pipe-mode stream says before its first event, in records: what a file has in its header and
/// its feature sections (tools/perf/util/header.c, `perf_event__process_*`).
struct PipeHead {
  private(set) var attributes: [PerfAttribute] = []
  private(set) var features = FeatureSections()
  private(set) var sideBand = SideBand()
  let isSwapped: Bool
  private var idCount = 0

  /// Ids a stream may have: as many events on as many CPUs as nobody has.
  private static let idLimit = 1 << 22
  /// Largest tracing data in bytes; those of all events of a kernel have some 20 MB.
  static let tracingDataLimit: UInt64 = 1 << 28

  /// Bytes in which the first event must come: the threads and maps of a large machine fit in.
  private static let limit: UInt64 = 1 << 30

  init(isSwapped: Bool) { self.isSwapped = isSwapped }

  /// Reads from behind the 16 bytes of the header up to the first event.
  mutating func read(_ input: inout ChunkedInput, _ file: RawSpan) throws(TraceError) {
    while input.need(RecordHeader.byteCount, file),
      let type = input.unparsed.u32(at: 0, swapped: isSwapped),
      let size = input.unparsed.u16(at: 6, swapped: isSwapped),
      size >= RecordHeader.byteCount, input.need(Int(size), file)
    {
      let payload = input.unparsed.u32(at: 8, swapped: isSwapped) ?? 0
      guard try takeNext(input, size: Int(size), type: type) else { break }
      guard input.offset < Self.limit else {
        throw TraceError(
          .isCorrupt(part: "stream", reason: "no event comes in its first GiB"),
          offset: input.offset)
      }
      input.consume(Int(size))
      if type == RecordKind.tracingData { try readTracingData(payload, &input, file) }
    }
    input.chunks.release(before: input.place.chunk)
    guard !attributes.isEmpty else { throw TraceError(.streamHasNoEvents, offset: input.offset) }
  }

  private mutating func takeNext(
    _ input: borrowing ChunkedInput, size: Int, type: UInt32
  ) throws(TraceError) -> Bool {
    try take(input.unparsed.extracting(first: size), type: type, at: input.offset)
  }

  /// false when the record is behind the head.
  private mutating func take(
    _ record: RawSpan, type: UInt32, at offset: UInt64
  ) throws(TraceError) -> Bool {
    switch type {
    case RecordKind.sample, RecordKind.lost, RecordKind.lostSamples, RecordKind.finishedRound,
      RecordKind.compressed, RecordKind.compressed2, RecordKind.auxTrace:
      return false
    // Synthesised ones, of threads that were there before, have time 0.
    case RecordKind.fork: return record.u64(at: 24) == 0
    case RecordKind.headerAttribute: try takeAttribute(record, at: offset)
    case RecordKind.headerEventType:
      // u64 config, char name[64]; perf up to 3.10.
      if let config = record.u64(at: 8, swapped: isSwapped) {
        features.namesByConfig[config] = record.text(at: 16)
      }
    case RecordKind.headerFeature:
      if let number = record.u64(at: 8, swapped: isSwapped), let bit = Int(exactly: number),
        let section = record.slice(at: 16, count: record.byteCount - 16)
      {
        features.take(bit, section, at: offset + 16, isSwapped: isSwapped)
      }
    case RecordKind.eventUpdate:
      // u64 kind (2: name), u64 id, then the name.
      if record.u64(at: 8, swapped: isSwapped) == 2,
        let id = record.u64(at: 16, swapped: isSwapped)
      {
        features.names[id] = record.text(at: 24)
      }
    default:
      let misc = record.u16(at: 4, swapped: isSwapped) ?? 0
      sideBand.take(record, type: type, misc: misc, isSwapped: isSwapped)
    }
    return true
  }

  /// HEADER_ATTR: the attr, with the size that it gives itself, then the ids to the end of the record.
  private mutating func takeAttribute(_ record: RawSpan, at offset: UInt64) throws(TraceError) {
    let said = record.u32(at: 12, swapped: isSwapped) ?? 0
    // Size 0 is PERF_ATTR_SIZE_VER0.
    let size = said == 0 ? 64 : said
    guard let attr = record.slice(at: 8, count: UInt64(size)),
      var attribute = PerfAttribute(attr, isSwapped: isSwapped),
      let ids = record.slice(at: 8 + Int(size), count: record.byteCount - 8 - Int(size))
    else {
      throw TraceError(
        .isCorrupt(
          part: "description of an event",
          reason: "its attr is said to have \(size) bytes, and the record has "
            + "\(record.byteCount)"), offset: offset)
    }
    attribute.addIDs(ids, isSwapped: isSwapped)
    idCount += attribute.ids.count
    guard attributes.count < Int(SourceIndex.none), idCount <= Self.idLimit else {
      throw TraceError(
        .isCorrupt(part: "stream", reason: "it describes too many events"), offset: offset)
    }
    attributes.append(attribute)
  }

  /// TRACING_DATA: its payload follows the record, padded to 8 bytes.
  private mutating func readTracingData(
    _ size: UInt32, _ input: inout ChunkedInput, _ file: RawSpan
  ) throws(TraceError) {
    let offset = input.offset
    guard UInt64(size) <= Self.tracingDataLimit else {
      throw TraceError(
        .isCorrupt(part: "stream", reason: "its event formats have \(size) bytes"), offset: offset)
    }
    var payload: [UInt8] = []
    let padded = (UInt64(size) + 7) & ~7
    guard input.pass(padded, file, to: { payload += $0.copied() }) else {
      throw TraceError(.isCut(part: "event formats", needed: padded), offset: offset)
    }
    features.readTracingData(payload.rawBytes.extracting(first: Int(size)), at: offset)
  }
}
