import Bytes

/// Where the entries of PERF_SAMPLE_BRANCH_STACK lie in a sample (include/uapi/linux/perf_event.h):
///
///     u64 nr
///     u64 hw_idx                   with PERF_SAMPLE_BRANCH_HW_INDEX
///     { u64 from, to, flags }[nr]  the newest first
///     u64 counters[nr]             with PERF_SAMPLE_BRANCH_COUNTERS
package struct BranchStack: BitwiseCopyable {
  static let entrySize = 24
  /// PERF_SAMPLE_BRANCH_HW_INDEX.
  package static let hardwareIndex: UInt64 = 1 << 17
  /// PERF_SAMPLE_BRANCH_KERNEL, and the three levels that can be chosen.
  static let kernel: UInt64 = 1 << 1
  static let levels: UInt64 = 0b111
  /// PERF_SAMPLE_BRANCH_ANY; of the kinds that can be chosen the one that leaves out none.
  package static let any: UInt64 = 1 << 3
  /// ANY to CALL: which branches are recorded. None of them: whoever synthesised the stack recorded all.
  static let kinds: UInt64 = 0x3ff8
  /// PERF_SAMPLE_BRANCH_CALL_STACK: returns take their calls away again.
  package static let callStack: UInt64 = 1 << 11

  /// Where `nr` and the first entry lie, from the start of the record.
  let start: Int
  let first: Int
  let count: Int

  /// nil when the entries do not fit into the record.
  init?(_ record: RawSpan, at start: Int, hasIndex: Bool, isSwapped: Bool) {
    let first = start + (hasIndex ? 16 : 8)
    guard let count = record.u64(at: start, swapped: isSwapped), first <= record.byteCount,
      count <= UInt64((record.byteCount - first) / Self.entrySize)
    else { return nil }
    self.start = start
    self.first = first
    self.count = Int(count)
  }

  var end: Int { first + count * Self.entrySize }

  /// The branches, the oldest first. Entries that the hardware had not filled are left out.
  func branches(_ record: RawSpan) -> [TakenBranch] {
    var list: [TakenBranch] = []
    list.reserveCapacity(count)
    for index in stride(from: count - 1, through: 0, by: -1) {
      let place = first + index * Self.entrySize
      guard let from = record.u64(at: place), let to = record.u64(at: place + 8), from | to != 0
      else { continue }
      list.append(TakenBranch(from: from, to: to))
    }
    return list
  }
}
