import Bytes

/// The part of a `struct perf_event_attr` that reading samples needs. The struct grows with the
/// kernel: 64 bytes at first, 152 and more today; what an older or shorter one lacks is zero.
package struct PerfAttribute: Equatable {
  /// PERF_TYPE_*: 1 software, 2 tracepoint (kprobes too).
  var type: UInt32
  /// For a tracepoint the `ID:` of its format.
  var config: UInt64
  /// Events per sample; samples per second with `freq`.
  var samplePeriod: UInt64
  /// PERF_SAMPLE_* bits.
  var sampleType: UInt64
  /// PERF_FORMAT_* bits.
  var readFormat: UInt64
  var flags: UInt64
  /// PERF_SAMPLE_BRANCH_* bits.
  var branchSampleType: UInt64
  /// A CLOCK_*, valid with `use_clockid`.
  var clockID: Int32
  /// The ids of the event, one per CPU it was opened on.
  var ids: [UInt64] = []

  static let tracepoint: UInt32 = 2

  /// `attr` up to the end of its entry; shorter ones are legal.
  package init?(_ attr: RawSpan, isSwapped: Bool) {
    guard let type = attr.u32(at: 0, swapped: isSwapped),
      let config = attr.u64(at: 8, swapped: isSwapped),
      let samplePeriod = attr.u64(at: 16, swapped: isSwapped),
      let sampleType = attr.u64(at: 24, swapped: isSwapped),
      let readFormat = attr.u64(at: 32, swapped: isSwapped), let flags = attr.u64(at: 40)
    else { return nil }
    self.type = type
    self.config = config
    self.samplePeriod = samplePeriod
    self.sampleType = sampleType
    self.readFormat = readFormat
    self.flags = isSwapped ? Self.turned(flags) : flags
    branchSampleType = attr.u64(at: 72, swapped: isSwapped) ?? 0
    clockID = attr.u32(at: 92, swapped: isSwapped).map { Int32(bitPattern: $0) } ?? 0
  }

  /// Bit fields begin with the highest bit of the first byte on big-endian machines, with the lowest
  /// on little-endian ones: the bytes keep their place, their bits turn round.
  private static func turned(_ flags: UInt64) -> UInt64 {
    var result: UInt64 = 0
    for bit in 0..<64 as Range<UInt64> where flags & 1 << bit != 0 {
      result |= 1 << ((bit & ~7) | (7 - bit & 7))
    }
    return result
  }

  /// `write_backward`: the ring buffer was overwritten, its records lie newest first.
  var isBackward: Bool { flags & 1 << 27 != 0 }

  /// `freq`: ``samplePeriod`` is a frequency.
  var isFrequency: Bool { flags & 1 << 10 != 0 }

  /// `enable_on_exec`: it was opened for a task and what that creates, not for pCPUs. (`inherit` says nothing: perf
  /// 6.1 sets it with -a too.)
  var followsTasks: Bool { flags & 1 << 12 != 0 }

  /// `sample_id_all`: records other than samples end with the sample's id fields.
  var hasSampleIDs: Bool { flags & 1 << 18 != 0 }

  /// PERF_COUNT_SW_DUMMY: carries side-band records, never samples.
  var isDummy: Bool { type == 1 && config == 9 }

  /// Name of the clock that times are read from (`use_clockid`, tools/perf/util/clockid.c).
  var clock: String {
    guard flags & 1 << 25 != 0 else { return "perf" }
    return switch clockID {
    case 0: "CLOCK_REALTIME"
    case 1: "CLOCK_MONOTONIC"
    case 4: "CLOCK_MONOTONIC_RAW"
    case 7: "CLOCK_BOOTTIME"
    case 11: "CLOCK_TAI"
    default: "clockid \(clockID)"
    }
  }

  /// CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE: many events have one time.
  var hasCoarseClock: Bool { flags & 1 << 25 != 0 && (clockID == 5 || clockID == 6) }

  mutating func addIDs(_ bytes: RawSpan, isSwapped: Bool) {
    for index in 0..<(bytes.byteCount / 8) {
      if let id = bytes.u64(at: index * 8, swapped: isSwapped) { ids.append(id) }
    }
  }

  /// The attr table of a file. Entry: attr, then offset and size of its ids.
  static func table(
    _ header: PerfHeader, in bytes: RawSpan, isSwapped: Bool
  ) throws(TraceError) -> [PerfAttribute] {
    let stride = header.attributeStride
    let section = header.attributes
    guard stride >= 64 + 16, stride <= 4096 else {
      throw TraceError(
        .isCorrupt(part: "header", reason: "an entry of the event table has \(stride) bytes"),
        offset: 16)
    }
    guard let table = bytes.slice(at: section.offset, count: section.size) else {
      throw TraceError(
        .isCut(part: "event table", needed: section.size), offset: section.offset)
    }
    var attributes: [PerfAttribute] = []
    let entrySize = Int(stride)
    var offset = 0
    // Entries of a corrupt table may all claim the same ids: the file holds no more than its size.
    var idBytesLeft = bytes.byteCount
    while let entry = table.slice(at: offset, count: entrySize) {
      let place = section.offset + UInt64(offset)
      offset += entrySize
      guard let attr = entry.slice(at: 0, count: entrySize - 16),
        var attribute = PerfAttribute(attr, isSwapped: isSwapped),
        let idsOffset = entry.u64(at: entrySize - 16, swapped: isSwapped),
        let idsSize = entry.u64(at: entrySize - 8, swapped: isSwapped)
      else { continue }
      guard let ids = bytes.slice(at: idsOffset, count: idsSize), ids.byteCount <= idBytesLeft
      else {
        throw TraceError(
          .isCorrupt(
            part: "event table",
            reason: "the ids of an event are said to lie at byte \(idsOffset) with \(idsSize) "
              + "bytes, which is more than the file has"), offset: place)
      }
      idBytesLeft -= ids.byteCount
      attribute.addIDs(ids, isSwapped: isSwapped)
      attributes.append(attribute)
    }
    guard !attributes.isEmpty else {
      throw TraceError(
        .isCorrupt(part: "event table", reason: "it is empty"), offset: section.offset)
    }
    return attributes
  }
}
