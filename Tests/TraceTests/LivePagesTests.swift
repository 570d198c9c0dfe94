import Testing
import Trace

/// Pages as the kernel gives them, made by hand: what is written of them, byte by byte.
struct LivePagesTests {
  static func header(size: Int) -> [UInt8] {
    Array(
      """
      \tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
      \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
      \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
      \tfield: char data;\toffset:16;\tsize:\(size - 16);\tsigned:0;

      """.utf8)
  }

  /// A probe's format: packed, so that values lie at odd offsets.
  static func format(_ fields: [(name: String, size: Int)], id: Int = 77) -> [UInt8] {
    var text = """
      name: put
      ID: \(id)
      format:
      \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
      \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
      \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
      \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

      \tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;

      """
    var offset = 16
    for field in fields {
      text +=
        "\tfield:u\(field.size * 8) \(field.name);\toffset:\(offset);\tsize:\(field.size);\tsigned:0;\n"
      offset += field.size
    }
    return Array((text + "\nprint fmt: \"\"\n").utf8)
  }

  static let names = ["ia", "ib", "da", "db", "ga"].flatMap {
    ["ap\($0)keylo_el1", "ap\($0)keyhi_el1"]
  }
  static let keys = names + names.map { "host_" + $0 }
  static let fields = [("iflags", 1)] + keys.map { ($0, 8) } + [("features", 8), ("cflags", 1)]
  /// Of a record, without what aligns it.
  static let recordSize = 16 + 1 + 160 + 8 + 1

  /// One record of ``fields``, with two bytes behind that nobody writes.
  static func record(_ keys: [UInt64], id: UInt16 = 77) -> [UInt8] {
    var bytes = ByteWriter()
    bytes.add(id)
    bytes.add(UInt16(0x0102))
    bytes.add(UInt32(4711))
    bytes.add(UInt64(0xffff_8000_1234_5678))
    bytes.add(UInt8(0x81))
    for key in keys { bytes.add(key) }
    bytes.add(UInt64(0x0123_4567_89ab_cdef))
    bytes.add(UInt8(0x92))
    bytes.add([0xaa, 0xaa])
    return bytes.bytes
  }

  /// A page with these records, and 0xaa wherever nothing was written.
  static func page(_ records: [[UInt8]], size: Int, flags: UInt64 = 0) -> [UInt8] {
    var data = ByteWriter()
    for record in records {
      data.add(UInt32(5) << 5)
      data.add(UInt32(record.count + 4))
      data.add(record)
    }
    // A discarded event, which still has its bytes.
    data.add(UInt32(1) << 5 | 29)
    data.add(UInt32(12))
    data.add([UInt8](repeating: 0xaa, count: 8))
    var page = ByteWriter()
    page.add(UInt64(1_000_000))
    page.add(UInt64(data.bytes.count) | flags)
    page.add(data.bytes)
    if flags >> 30 & 3 == 3 { page.add(UInt64(9)) }
    page.add([UInt8](repeating: 0xaa, count: size - page.bytes.count))
    return page.bytes
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * $1) }
  }

  private func live(
    _ size: Int = 4096, _ fields: [(name: String, size: Int)] = Self.fields
  ) throws -> LivePages {
    try LivePages(header: Self.header(size: size), formats: [("ptrauth", Self.format(fields))])
  }

  @Test(arguments: [4096, 8192, 65536])
  func onlyKeysAndLeftoversChange(size: Int) throws {
    var live = try live(size)
    #expect(live.pageSize == size)
    let secrets = (0..<20).map { UInt64(0x5ec2_e700_0000_0000) | UInt64($0 / 2) }
    let reset: [UInt64] = [0, KeySlots.resetValue] + secrets[2...]
    let before = Self.page([Self.record(secrets), Self.record(reset)], size: size, flags: 3 << 30)
    var page = before
    let isPageFit = live.prepare(&page)
    #expect(isPageFit)
    #expect(page.count == size)
    var changed: [UInt64: UInt64] = [:]
    var expected = before
    let stride = 8 + Self.recordSize + 2
    for (number, values) in [secrets, reset].enumerated() {
      let record = 16 + number * stride + 8
      for (slot, value) in values.enumerated() {
        let place = record + 17 + slot * 8
        let now = Self.number(page, place)
        #expect(changed[value] == nil || changed[value] == now, "equal by equal")
        changed[value] = now
        expected.replaceSubrange(place..<(place + 8), with: page[place..<(place + 8)])
      }
      for byte in 0..<2 { expected[record + Self.recordSize + byte] = 0 }
    }
    let discarded = 16 + 2 * stride
    for index in (discarded + 8)..<(discarded + 16) { expected[index] = 0 }
    // The number of missed events stands behind the events, and stays.
    for index in (discarded + 24)..<size { expected[index] = 0 }
    #expect(page == expected, "all else is as it was")
    #expect(Set(changed.values).count == changed.count && changed.count == 12)
    #expect(changed[0] == 0 && changed[KeySlots.resetValue] == KeySlots.resetValue)
    #expect(Set(changed.values).intersection(secrets).isEmpty)
  }

  /// Each: nothing of the page is to be written, and the next one says that events are missing.
  @Test(arguments: ["another size", "too much", "another event", "too short", "cut"])
  func whatIsNotUnderstoodIsRefused(what: String) throws {
    var live = try live()
    let good = Self.page([Self.record(Array(1...20))], size: 4096, flags: 3 << 30)
    var page = good
    switch what {
    case "another size": page += page
    case "too much": page[9] = 0xff
    case "another event": page = Self.page([Self.record(Array(1...20), id: 78)], size: 4096)
    case "too short": page = Self.page([Array(Self.record(Array(1...20))[..<100])], size: 4096)
    default: page[20] = 0xff
    }
    let isPageFit = live.prepare(&page)
    #expect(!isPageFit)
    #expect(live.refused == 1 && live.reason != nil)
    var next = good
    let isNextFit = live.prepare(&next)
    #expect(isNextFit)
    #expect(Self.number(next, 8) == Self.number(good, 8) & 0x3fff_ffff | 1 << 31)
    var last = good
    let isLastFit = live.prepare(&last)
    #expect(isLastFit)
    #expect(Self.number(last, 8) == Self.number(good, 8))
  }

  @Test func formatsThatHideKeysAreRefused() throws {
    #expect(throws: LivePages.Refusal.self) {
      try self.live(4096, [("apiakeylo_el1", 4)])
    }
    #expect(throws: LivePages.Refusal.self) {
      try LivePages(header: Self.header(size: 4096), formats: [("ptrauth", Array("nonsense".utf8))])
    }
    #expect(throws: LivePages.Refusal.self) { try LivePages(header: [], formats: []) }
  }
}
