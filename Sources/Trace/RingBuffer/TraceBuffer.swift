import Bytes

/// One instance of the ring buffer in a trace.dat, with the data of its CPUs.
struct TraceBuffer {
  /// The data of one CPU.
  struct CPU {
    var number: UInt32
    /// In the file, in bytes.
    var offset: UInt64
    /// In bytes; not to be trusted where the data is compressed.
    var size: UInt64
  }

  /// Where the instance's table lies (version 6), or its section.
  var offset: UInt64
  /// Empty: the top instance.
  var name: String
  /// As the instance has it; empty in version 6.
  var clock = ""
  /// nil: that of the file's header.
  var pageSize: Int?
  var cpus: [CPU] = []

  /// No kernel has more CPUs.
  private static let cpuLimit = TimeSpans.cpuLimit

  /// The top instance, with nothing in it.
  init() {
    offset = 0
    name = ""
  }

  /// The top instance of version 6, whose table follows.
  init(top cursor: inout ByteCursor, cpuCount: UInt32) throws(ByteCursor.Truncation) {
    offset = UInt64(cursor.offset)
    name = ""
    try takeTable(&cursor, cpuCount: cpuCount)
  }

  /// A BUFFER option: u64 offset and name; in version 7 also clock, u32 page size, u32 count of CPUs,
  /// and their u32 number, u64 offset, u64 size.
  init(option cursor: inout ByteCursor, version: Int) throws(ByteCursor.Truncation) {
    offset = try cursor.u64()
    name = try cursor.terminatedText()
    guard version > 6 else { return }
    clock = try cursor.terminatedText()
    pageSize = Int(try cursor.u32())
    for _ in 0..<(try cursor.u32()) {
      cpus.append(
        CPU(number: try cursor.u32(), offset: try cursor.u64(), size: try cursor.u64()))
      if cpus.count >= Int(Self.cpuLimit) { break }
    }
  }

  /// Version 6: u64 offset and u64 size of each CPU.
  mutating func takeTable(
    _ cursor: inout ByteCursor, cpuCount: UInt32
  ) throws(ByteCursor.Truncation) {
    for number in 0..<min(cpuCount, Self.cpuLimit) {
      cpus.append(CPU(number: number, offset: try cursor.u64(), size: try cursor.u64()))
    }
  }

  /// Bytes of its CPUs that lie behind the end of the file.
  func missing(fileSize: UInt64) -> UInt64 {
    var sum: UInt64 = 0
    for cpu in cpus {
      let (end, overflow) = cpu.offset.addingReportingOverflow(cpu.size)
      if overflow {
        sum.saturatingAdd(cpu.size)
      } else if end > fileSize {
        sum.saturatingAdd(min(cpu.size, end - fileSize))
      }
    }
    return sum
  }
}
