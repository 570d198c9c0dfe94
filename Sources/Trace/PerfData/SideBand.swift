import Bytes

/// What the records between the samples say about the kernel and the ids.
struct SideBand {
  /// Run-time address of the kernel's relocation symbol.
  private(set) var kernelText: (symbol: String, address: UInt64)?
  private(set) var kernelBuildID: [UInt8]?
  /// From ID_INDEX: the CPU an id was opened on.
  private(set) var cpuByID: [UInt64: Int32] = [:]

  /// Names of threads by thread id: the last that each had.
  private(set) var threadNames: [Int32: String] = [:]
  /// A hostile file may have any number.
  private static let nameLimit = 1 << 16

  /// Pieces of an instruction trace that are missing: AUX records with a flag that says so, errors of its
  /// decoder, and samples that the kernel held back.
  private(set) var instructionGaps: UInt64 = 0

  /// `isSwapped`: the body of the record has the other byte order.
  mutating func take(_ record: RawSpan, type: UInt32, misc: UInt16, isSwapped: Bool) {
    switch type {
    case RecordKind.mmap: takeMap(record, misc, name: 40, isSwapped)
    case RecordKind.mmap2: takeMap(record, misc, name: 72, isSwapped)
    case RecordKind.comm:
      // u32 pid, tid, char comm[].
      if let tid = record.u32(at: 12, swapped: isSwapped).map({ Int32(bitPattern: $0) }),
        threadNames.count < Self.nameLimit || threadNames[tid] != nil
      {
        threadNames[tid] = String(record.text(at: 16).prefix(64))
      }
    case RecordKind.aux:
      // u64 offset, size, flags: TRUNCATED, OVERWRITE, PARTIAL, COLLISION.
      if let flags = record.u64(at: 24, swapped: isSwapped), flags & 0xf != 0 {
        instructionGaps += 1
      }
    case RecordKind.auxTraceError, RecordKind.throttle: instructionGaps += 1
    case RecordKind.idIndex: takeIDs(record, isSwapped)
    case RecordKind.buildID:
      if kernelBuildID == nil {
        kernelBuildID = BuildIDTable.kernel(in: record, isSwapped: isSwapped)
      }
    default: break
    }
  }

  /// MMAP: s32 pid, u32 tid, u64 addr, u64 len, u64 pgoff, name. MMAP2 has 32 bytes more before the
  /// name, a build-id among them (include/uapi/linux/perf_event.h). The kernel's map has pid -1, and
  /// pgoff is the address of the symbol that its name ends with
  /// (tools/perf/util/synthetic-events.c, __perf_event__synthesize_kernel_mmap).
  private mutating func takeMap(
    _ record: RawSpan, _ misc: UInt16, name: Int, _ isSwapped: Bool
  ) {
    guard kernelText == nil, record.u32(at: 8) == .max,
      misc & RecordHeader.cpuModeMask == RecordHeader.cpuModeKernel,
      let address = record.u64(at: 32, swapped: isSwapped)
    else { return }
    let prefix = "[kernel.kallsyms]"
    let text = record.text(at: name)
    guard text.hasPrefix(prefix) else { return }
    let symbol = String(text.dropFirst(prefix.count))
    if !symbol.isEmpty { kernelText = (symbol, address) }
    guard name == 72, misc & RecordHeader.mmapBuildID != 0, let size = record.u8(at: 40) else {
      return
    }
    let id = record.slice(at: 44, count: min(20, Int(size)))?.copied()
    if let id, id.contains(where: { $0 != 0 }) { kernelBuildID = id }
  }

  /// ID_INDEX: u64 count, then u64 id, idx, cpu, tid for each.
  private mutating func takeIDs(_ record: RawSpan, _ isSwapped: Bool) {
    guard let count = record.u64(at: 8, swapped: isSwapped),
      count <= UInt64(record.byteCount / 32)
    else { return }
    for index in 0..<Int(count) {
      guard let id = record.u64(at: 16 + index * 32, swapped: isSwapped),
        let cpu = record.u64(at: 32 + index * 32, swapped: isSwapped)
      else { return }
      if cpu < UInt64(TimeSpans.cpuLimit) { cpuByID[id] = Int32(truncatingIfNeeded: cpu) }
    }
  }
}
