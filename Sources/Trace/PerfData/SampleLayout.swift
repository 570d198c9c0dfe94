import Bytes

/// Where the fields of a sample lie, and those of the sample id at the end of other records.
/// Order: include/uapi/linux/perf_event.h, the comment at PERF_RECORD_SAMPLE.
struct SampleLayout: BitwiseCopyable, Equatable {
  /// Offsets from the start of the record in bytes, -1 when the samples lack the field.
  private(set) var id: Int16 = -1
  private(set) var ip: Int16 = -1
  private(set) var addr: Int16 = -1
  private(set) var tid: Int16 = -1
  private(set) var time: Int16 = -1
  private(set) var cpu: Int16 = -1
  /// Where the fields of fixed size end.
  let fixedEnd: Int16
  let hasRead: Bool
  let hasCallchain: Bool
  let hasRaw: Bool
  let hasBranchStack: Bool
  /// Nothing is behind the raw bytes.
  let endsWithRaw: Bool
  private let readFormat: UInt8
  /// PERF_SAMPLE_BRANCH_HW_INDEX: a number stands before the entries.
  private let branchesHaveIndex: Bool

  /// Offsets from the END of a record in bytes, 0 when absent; valid with `sample_id_all`.
  private(set) var trailingID: Int16 = 0
  private(set) var trailingTime: Int16 = 0
  private(set) var trailingCPU: Int16 = 0
  private(set) var trailingTID: Int16 = 0
  /// Size of the sample id, in bytes.
  private(set) var trailingSize: Int16 = 0

  /// PERF_SAMPLE_*.
  private enum Bit {
    static let ip: UInt64 = 1 << 0
    static let tid: UInt64 = 1 << 1
    static let time: UInt64 = 1 << 2
    static let addr: UInt64 = 1 << 3
    static let read: UInt64 = 1 << 4
    static let callchain: UInt64 = 1 << 5
    static let id: UInt64 = 1 << 6
    static let cpu: UInt64 = 1 << 7
    static let period: UInt64 = 1 << 8
    static let streamID: UInt64 = 1 << 9
    static let raw: UInt64 = 1 << 10
    static let branchStack: UInt64 = 1 << 11
    static let identifier: UInt64 = 1 << 16
  }

  /// PERF_FORMAT_*.
  private enum Read {
    static let timeEnabled: UInt8 = 1 << 0
    static let timeRunning: UInt8 = 1 << 1
    static let id: UInt8 = 1 << 2
    static let group: UInt8 = 1 << 3
    static let lost: UInt8 = 1 << 4
  }

  init(_ attribute: PerfAttribute) {
    let type = attribute.sampleType
    var position: Int16 = 8
    func place(_ bit: UInt64) -> Int16 {
      guard type & bit != 0 else { return -1 }
      position += 8
      return position - 8
    }
    let identifier = place(Bit.identifier)
    ip = place(Bit.ip)
    tid = place(Bit.tid)
    time = place(Bit.time)
    addr = place(Bit.addr)
    let inner = place(Bit.id)
    id = identifier >= 0 ? identifier : inner
    _ = place(Bit.streamID)
    cpu = place(Bit.cpu)
    _ = place(Bit.period)
    fixedEnd = position
    hasRead = type & Bit.read != 0
    hasCallchain = type & Bit.callchain != 0
    hasRaw = type & Bit.raw != 0
    hasBranchStack = type & Bit.branchStack != 0
    endsWithRaw = hasRaw && type & ~(2 * Bit.raw - 1 | Bit.identifier) == 0
    branchesHaveIndex = attribute.branchSampleType & BranchStack.hardwareIndex != 0
    readFormat = UInt8(truncatingIfNeeded: attribute.readFormat)

    guard attribute.hasSampleIDs else { return }
    var fromEnd: Int16 = 0
    func placeFromEnd(_ bit: UInt64) -> Int16 {
      guard type & bit != 0 else { return 0 }
      fromEnd += 8
      return fromEnd
    }
    let lastID = placeFromEnd(Bit.identifier)
    trailingCPU = placeFromEnd(Bit.cpu)
    _ = placeFromEnd(Bit.streamID)
    let middleID = placeFromEnd(Bit.id)
    trailingID = lastID > 0 ? lastID : middleID
    trailingTime = placeFromEnd(Bit.time)
    trailingTID = placeFromEnd(Bit.tid)
    trailingSize = fromEnd
  }

  /// Where the size of the raw bytes lies in every sample; -1: not in the same place, or nowhere.
  var fixedRaw: Int16 { hasRaw && !hasRead && !hasCallchain ? fixedEnd : -1 }

  /// The raw bytes of the sample `record`: offset from its start, and size, padding included. nil
  /// when it has none or is too short for what it says.
  @inline(__always)
  func raw(_ record: RawSpan) -> (offset: Int, size: Int)? {
    guard hasRaw else { return nil }
    var position = Int(fixedEnd)
    if hasRead || hasCallchain {
      guard let end = variableEnd(record, position) else { return nil }
      position = end
    }
    guard let size = record.u32(at: position), Int(size) <= record.byteCount &- position &- 4
    else { return nil }
    return (position &+ 4, Int(size))
  }

  /// The branch stack of the sample `record`; nil when it has none or is too short for what it says.
  func branchStack(_ record: RawSpan) -> BranchStack? {
    variableEnd(record, Int(fixedEnd)).flatMap {
      branchStack(record, isSwapped: false, from: $0)
    }
  }

  /// The same, where the READ and CALLCHAIN fields end at `end`.
  func branchStack(_ record: RawSpan, isSwapped: Bool, from end: Int) -> BranchStack? {
    guard hasBranchStack else { return nil }
    var position = end
    if hasRaw {
      guard let size = record.u32(at: position, swapped: isSwapped),
        Int(size) <= record.byteCount - position - 4
      else { return nil }
      position += 4 + Int(size)
    }
    return BranchStack(
      record, at: position, hasIndex: branchesHaveIndex, isSwapped: isSwapped)
  }

  /// End of the READ and CALLCHAIN fields, which are 64-bit numbers all; `isSwapped`: theirs is the
  /// other byte order.
  func variableEnd(_ record: RawSpan, _ start: Int, isSwapped: Bool = false) -> Int? {
    var position = start
    func count() -> Int? {
      guard let count = record.u64(at: position, swapped: isSwapped),
        count <= UInt64(record.byteCount / 8)
      else { return nil }
      return Int(count)
    }
    if hasRead {
      let perValue =
        8 + (readFormat & Read.id != 0 ? 8 : 0) + (readFormat & Read.lost != 0 ? 8 : 0)
      let times =
        (readFormat & Read.timeEnabled != 0 ? 8 : 0) + (readFormat & Read.timeRunning != 0 ? 8 : 0)
      if readFormat & Read.group != 0 {
        guard let count = count() else { return nil }
        position += 8 + times + count * perValue
      } else {
        position += times + perValue
      }
    }
    if hasCallchain {
      guard let count = count() else { return nil }
      position += 8 + count * 8
    }
    return position
  }
}
