import Bytes

/// What the raw records of one tracepoint look like, where no format describes them.
struct RecordShape: Equatable {
  /// Sizes in bytes, perf's padding included.
  private(set) var sizes: Set<Int> = []
  /// What lies behind the common fields: of a probe, the address it is on.
  private(set) var firstWords: Set<UInt64> = []

  private static let limit = 16

  mutating func note(_ record: RawSpan, _ raw: (offset: Int, size: Int)) {
    if sizes.count < Self.limit { sizes.insert(raw.size) }
    if firstWords.count < Self.limit, raw.size >= 16, let word = record.u64(at: raw.offset + 8) {
      firstWords.insert(word)
    }
  }

  /// Records of `format` can look so. perf pads what the kernel wrote to 8 bytes, less the 4 of the
  /// size before it (kernel/trace/trace_event_perf.c); the kernel's struct may be padded itself.
  func fits(_ format: EventFormat) -> Bool {
    let fields = format.fields + format.commonFields
    let end = fields.map { $0.offset + $0.size }.max() ?? 0
    func padded(_ size: Int) -> Int { (size + 7) & ~7 }
    let smallest = padded(end + 4) - 4
    if fields.contains(where: \.isDynamic) { return sizes.allSatisfy { $0 >= smallest } }
    let largest = padded(padded(end) + 4) - 4
    return sizes.allSatisfy { $0 == smallest || $0 == largest }
  }
}

extension PerfDataFile {
  /// Bytes of each file that are looked at.
  private static let surveyed = 1 << 23

  /// The records of each tracepoint by its number, as far as a look at the beginning shows them; of
  /// recordings of the other byte order nothing.
  func shapes() -> [UInt64: RecordShape] {
    guard !parts.plan.isSwapped else { return [:] }
    var shapes: [UInt64: RecordShape] = [:]
    for part in parts.records {
      var pass = ReadPass(parts.plan, rounds: .survey)
      var walk = RecordWalk(part)
      var chunks = RecordChunks()
      walk.advance(to: part.lowerBound + Self.surveyed, files.map.bytes, &chunks, &pass) { _ in }
      for (source, shape) in zip(parts.plan.sources, pass.shapes) where !shape.sizes.isEmpty {
        shapes[UInt64(source.commonType)] = shape
      }
    }
    return shapes
  }

  /// It has tracepoints, and no formats that describe them.
  var needsFormats: Bool {
    parts.formats.isEmpty && parts.plan.sources.contains(where: \.isTracepoint)
  }
}
