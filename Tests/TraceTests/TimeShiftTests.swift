import Testing
import Trace

/// A guest's times, led to its host's clock: `trace-cmd report` is the oracle.
struct TimeShiftTests {
  typealias Builder = TraceDatBuilder

  struct Sample {
    var time: UInt64
    var offset: Int64
    var scaling: UInt64 = 1
    var fraction: UInt64 = 0
  }

  static func option(
    flags: UInt32, _ cpus: [[Sample]], host: UInt64 = 0x1122_3344_5566_7788, fractions: Bool = true
  ) -> [UInt8] {
    var option = ByteWriter()
    option.add(host)
    option.add(flags)
    option.add(UInt32(cpus.count))
    for samples in cpus {
      option.add(UInt32(samples.count))
      for sample in samples { option.add(sample.time) }
      for sample in samples { option.add(UInt64(bitPattern: sample.offset)) }
      for sample in samples { option.add(sample.scaling) }
    }
    if fractions { for samples in cpus { for sample in samples { option.add(sample.fraction) } } }
    return option.bytes
  }

  /// Events on two CPUs, before, between, at and behind the measurements.
  private static func guest(_ option: [UInt8], offset: String? = nil) -> Builder {
    var file = Builder()
    for cpu in 0..<2 as Range<UInt32> {
      var page = PageBuilder(time: 1_000_000 + UInt64(cpu) * 17)
      for step in 0..<60 as Range<UInt64> { page.entry(after: step * 991, pc: step) }
      file.add(cpu, [page.bytes()])
    }
    file.options = [(11, UInt64(0x55).bytes), (12, option)]
    if let offset { file.options.append((7, Array(offset.utf8) + [0])) }
    return file
  }

  static let cases: [(name: String, flags: UInt32, cpus: [[Sample]])] = [
    (
      "one measurement", 0,
      [[Sample(time: 5, offset: 1_000_000_007)], [Sample(time: 5, offset: -777)]]
    ),
    (
      "two", 1,
      [
        [Sample(time: 1_100_000, offset: 5_000_000), Sample(time: 2_100_000, offset: 5_001_234)],
        [Sample(time: 1_100_000, offset: -900_000), Sample(time: 2_100_000, offset: -900_999)],
      ]
    ),
    (
      "many, not in order, one twice", 1,
      [
        [
          Sample(time: 2_000_000, offset: 77_000), Sample(time: 1_200_000, offset: 70_001),
          Sample(time: 1_700_000, offset: 72_900), Sample(time: 1_500_000, offset: 72_003),
          Sample(time: 2_400_000, offset: 76_999),
        ],
        [
          Sample(time: 1_200_000, offset: -70_001), Sample(time: 1_500_000, offset: -72_003),
          Sample(time: 2_000_000, offset: -77_000),
        ],
      ]
    ),
    (
      "not interpolated", 0,
      [
        [
          Sample(time: 1_200_000, offset: 1_000), Sample(time: 1_500_000, offset: 2_000),
          Sample(time: 2_000_000, offset: 3_000),
        ],
        [Sample(time: 1_200_000, offset: 9_000), Sample(time: 2_000_000, offset: 10_000)],
      ]
    ),
    (
      "scaled", 1,
      [
        [
          Sample(time: 1_200_000, offset: 100, scaling: 4_295_967_296, fraction: 32),
          Sample(time: 1_600_000, offset: 300, scaling: 4_295_967_296, fraction: 32),
        ],
        [
          Sample(time: 1_200_000, offset: 100, scaling: 3),
          Sample(time: 2_000_000, offset: 7, scaling: 3),
        ],
      ]
    ),
    ("of the first CPU only", 1, [[Sample(time: 1, offset: 123_456_789)]]),
  ]

  @Test(arguments: cases.map(\.name), [6, 7])
  func timesAreThoseOfTraceCmd(name: String, version: Int) throws {
    let one = try #require(Self.cases.first { $0.name == name })
    let file = Self.guest(Self.option(flags: one.flags, one.cpus), offset: "1000")
    let copy = TemporaryFile(version == 6 ? file.version6() : file.version7())
    let report = try #require(TraceCmdReport(copy.path))
    let expected = report.lines.compactMap { line -> String? in
      guard case .event(let hit) = line else { return nil }
      return "\(hit.time) \(hit.cpu)"
    }
    var reader = try TraceDatFile(path: copy.path)
    var lines: [String] = []
    try reader.readEvents { event in
      guard case .entry = event.payload else { return }
      lines.append("\(event.time) \(event.cpu)")
    }
    #expect(lines.count == 120)
    // Of the same time, either is first.
    #expect(lines.sorted() == expected.sorted(), "\(name)")
    #expect(reader.recording.hasHostTimes)
    #expect(reader.recording.hostTraceID == 0x1122_3344_5566_7788)
  }

  /// Times of all CPUs are merged as they are after the correction.
  @Test func correctedTimesAreInOrder() throws {
    let file = Self.guest(
      Self.option(flags: 0, [[Sample(time: 5, offset: 500_000)], [Sample(time: 5, offset: 0)]]))
    let times = try TraceDatOutcome(file.version7()).events.map(\.time)
    #expect(times == times.sorted() && times.count == 120)
  }

  /// What cannot be read corrects nothing, and is said.
  @Test func aCutOptionIsNoCorrection() throws {
    let whole = Self.option(flags: 1, [[Sample(time: 1, offset: 7), Sample(time: 9, offset: 8)]])
    for count in 8..<whole.count {
      let outcome = try TraceDatOutcome(Self.guest(Array(whole.prefix(count))).version7())
      #expect(outcome.events.count == 120)
      #expect(outcome.recording.warnings.contains { $0.contains("TIME_SHIFT") })
    }
    var hostile = Self.option(flags: 1, [])
    hostile.replaceSubrange(12..<16, with: [0xff, 0xff, 0xff, 0xff])
    #expect(try TraceDatOutcome(Self.guest(hostile).version7()).events.count == 120)
  }
}
