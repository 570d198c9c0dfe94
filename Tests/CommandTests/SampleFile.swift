import Glibc
import Trace

/// A perf.data whose samples say which instructions ran, as perf writes it.
struct SampleFile {
  var type: UInt32 = 0
  var config: UInt64
  var period: UInt64 = 1
  /// IDENTIFIER, IP, TID, TIME, CPU, PERIOD.
  var sampleType: UInt64 = 1 << 16 | 1 | 1 << 1 | 1 << 2 | 1 << 7 | 1 << 8
  var branchSampleType: UInt64 = 0
  /// Run-time address of the kernel's `_text`; nil: there is no map of the kernel.
  var text: UInt64? = 0xffff_8000_0800_0000
  private var records: [UInt8] = []
  private var time: UInt64 = 1_000_000

  static let addr: UInt64 = 1 << 3
  static let branchStack: UInt64 = 1 << 11
  static let dataSource: UInt64 = 1 << 15

  init(config: UInt64, _ more: UInt64 = 0) {
    self.config = config
    sampleType |= more
  }

  private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  mutating func record(_ type: UInt32, misc: UInt16 = 0, _ body: [UInt8]) {
    records +=
      Self.bytes(type) + Self.bytes(misc) + Self.bytes(UInt16(8 + body.count)) + body
  }

  /// - Parameter stack: the newest first.
  mutating func sample(
    ip: UInt64, addr: UInt64 = 0, cpu: Int32, isGuest: Bool = false, stack: [TakenBranch] = []
  ) {
    time += 100
    var body = Self.bytes(UInt64(7)) + Self.bytes(ip)
    body += Self.bytes(Int32(900)) + Self.bytes(1000 + cpu) + Self.bytes(time)
    if sampleType & Self.addr != 0 { body += Self.bytes(addr) }
    body += Self.bytes(cpu) + Self.bytes(Int32(0)) + Self.bytes(UInt64(1))
    if sampleType & Self.branchStack != 0 {
      body += Self.bytes(UInt64(stack.count))
      for branch in stack {
        body += Self.bytes(branch.from) + Self.bytes(branch.to) + Self.bytes(UInt64(2))
      }
    }
    if sampleType & Self.dataSource != 0 { body += Self.bytes(UInt64(0)) }
    record(9, misc: isGuest ? 4 : 1, body)
  }

  /// PERF_RECORD_LOST of a CPU, with its sample id: TID, TIME, CPU, IDENTIFIER.
  mutating func lost(cpu: Int32) {
    time += 100
    record(
      2,
      Self.bytes(UInt64(7)) + Self.bytes(UInt64(5)) + Self.bytes(Int32(900))
        + Self.bytes(1000 + cpu) + Self.bytes(time) + Self.bytes(cpu) + Self.bytes(Int32(0))
        + Self.bytes(UInt64(7)))
  }

  var bytes: [UInt8] {
    var map: [UInt8] = []
    if let text {
      // pid -1, tid 0, start, length, pgoff, name.
      map = Self.bytes(Int32(-1)) + Self.bytes(Int32(0)) + Self.bytes(text)
      map += Self.bytes(UInt64(0x200_0000)) + Self.bytes(text)
      map += Array("[kernel.kallsyms]_text".utf8)
      map += [UInt8](repeating: 0, count: 8 - map.count % 8)
      map = Self.bytes(UInt32(1)) + Self.bytes(UInt16(1)) + Self.bytes(UInt16(8 + map.count)) + map
    }
    let data = map + records
    var file = Array("PERFILE2".utf8)
    for word in [104, 128 + 16, 112, 128 + 16, 256, data.count, 0, 0] as [Int] {
      file += Self.bytes(UInt64(word))
    }
    file += [UInt8](repeating: 0, count: 32) + Self.bytes(UInt64(7))
    var attr = Self.bytes(type) + Self.bytes(UInt32(128))
    for word in [config, period, sampleType, 0, 1 << 18, 0, 0, 0, branchSampleType] {
      attr += Self.bytes(word)
    }
    file += attr + [UInt8](repeating: 0, count: 128 - attr.count)
    file += Self.bytes(UInt64(104)) + Self.bytes(UInt64(8))
    return file + data
  }

  /// Writes it; for as long as `body` runs.
  func write<T>(_ body: (String) throws -> T) rethrows -> T {
    let path = "/tmp/ptrauth-trace-samples-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    Corpus.write(bytes, to: path)
    return try body(path)
  }
}
