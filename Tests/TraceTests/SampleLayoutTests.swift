import Testing
import Trace

/// Every layout a sample can have before its raw bytes.
struct SampleLayoutTests {
  typealias Sample = PerfDataBuilder.Sample

  private static func entry(
    _ sampleType: UInt64 = Sample.usual, readFormat: UInt64 = 0, ids: [UInt64] = []
  ) -> PerfDataBuilder.Attribute {
    PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: sampleType, readFormat: readFormat, ids: ids)
  }

  @Test(arguments: [64, 72, 80, 96, 104, 112, 120, 128, 136, 144, 152, 200], [true, false])
  func anyAttributeSize(size: Int, hasIdentifier: Bool) throws {
    var file = PerfDataBuilder()
    file.attributeSize = size
    let attribute = Self.entry(
      Sample.usual | (hasIdentifier ? Sample.identifier : 0), ids: [40, 41])
    file.attributes = [attribute]
    for time in 1...3 as ClosedRange<UInt64> {
      file.sample(
        attribute, id: 40, time: time, cpu: 2, raw: Formats.entryRaw(pc: 0x1000 + time))
    }
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [0x1001, 0x1002, 0x1003])
    #expect(outcome.events.map(\.time) == [1, 2, 3])
    #expect(outcome.events.allSatisfy { $0.cpu == 2 && $0.pid == 5 && $0.tid == 7 })
    #expect(outcome.recording.warnings == [])
    #expect(outcome.recording.osRelease == "6.1.0-built")
    #expect(outcome.recording.recordedEvents.map(\.count) == [3])
    #expect(outcome.recording.recordedEvents.first?.fields == ["vcpu_pc"])
  }

  @Test(arguments: 0..<32 as Range<UInt64>)
  func anyReadFormatBeforeRaw(readFormat: UInt64) throws {
    let isGroup = readFormat & 8 != 0
    let times = Int(readFormat & 1) + Int(readFormat >> 1 & 1)
    let values = 1 + Int(readFormat >> 2 & 1) + Int(readFormat >> 4 & 1)
    var read = ByteWriter()
    if isGroup { read.add(UInt64(3)) }
    for _ in 0..<(times + values * (isGroup ? 3 : 1)) { read.add(UInt64(0xdead)) }
    var file = PerfDataBuilder()
    let attribute = Self.entry(
      Sample.usual | Sample.read | Sample.callchain, readFormat: readFormat)
    file.attributes = [attribute]
    file.sample(
      attribute, time: 9, read: read.bytes, callchain: [1, 2, 3],
      raw: Formats.entryRaw(pc: 0x42))
    file.sample(
      attribute, time: 10, read: read.bytes, callchain: [], raw: Formats.entryRaw(pc: 0x43))
    #expect(try Outcome(file.bytes()).programCounters == [0x42, 0x43])
  }

  @Test
  func severalEventsWithTheIDInTheMiddle() throws {
    var file = PerfDataBuilder()
    let first = Self.entry(Sample.usual | Sample.id, ids: [70])
    var second = Self.entry(Sample.usual | Sample.id | Sample.streamID, ids: [71])
    second.config = UInt64(Formats.exitID)
    file.attributes = [first, second]
    file.sample(first, id: 70, time: 1, raw: Formats.entryRaw(pc: 1))
    var exit = ByteWriter()
    exit.add(Formats.exitID)
    exit.add([0, 0, 0, 0, 0, 0])
    exit.add(Int32(-2))
    exit.add(UInt32(0x18))
    exit.add(UInt64(0x99))
    file.sample(second, id: 71, time: 2, raw: exit.bytes)
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [1])
    guard case .exit(ret: -2, ec: 0x18, pc: 0x99) = outcome.events.last?.payload else {
      Issue.record("the exit is not the one written")
      return
    }
  }

  @Test
  func eventsThatCannotBeToldApartAreRefused() {
    var file = PerfDataBuilder()
    file.attributes = [
      Self.entry(Sample.usual | Sample.id, ids: [1]), Self.entry(Sample.usual, ids: [2]),
    ]
    #expect(throws: TraceError.self) { try Outcome(file.bytes()) }
  }

  @Test
  func withoutIDsTheRawBytesTell() throws {
    var file = PerfDataBuilder()
    let first = Self.entry()
    var second = first
    second.config = UInt64(Formats.probeID)
    file.attributes = [first, second]
    var probe = ByteWriter()
    probe.add(Formats.probeID)
    probe.add([0, 0, 0, 0, 0, 0])
    probe.add(UInt64(0xffff_8000_0800_0000))
    probe.add(Int16(-3))
    probe.add(UInt8(0xfe))
    probe.add(Int32(-1))
    probe.add(UInt64(0x80_0000_0000_0001))
    file.sample(second, time: 1, raw: probe.bytes)
    file.sample(first, time: 2, raw: Formats.entryRaw(pc: 4))
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [4])
    guard case .probe(let hit) = outcome.events.first?.payload else {
      Issue.record("no probe")
      return
    }
    #expect(hit.address == 0xffff_8000_0800_0000)
    #expect(!hit.isReturn)
    #expect(hit.fields.vcpuID == nil, "two bytes are too few for a vcpu_id")
    #expect(hit.fields.iflags == 0xfe)
    #expect(hit.fields.cpu == -1)
    #expect(hit.fields.hcr == 0x80_0000_0000_0001)
    #expect(hit.fields.guestKeys == nil)
    #expect(outcome.recording.warnings.contains { $0.contains("vcpu_id of ptrauth:p1") })
  }

  @Test
  func samplesWithoutTimeAreRefused() {
    var file = PerfDataBuilder()
    file.attributes = [Self.entry(Sample.ip | Sample.cpu | Sample.raw)]
    file.finishRound()
    #expect {
      try Outcome(file.bytes())
    } throws: {
      ($0 as? TraceError)?.code == .hasNoTime(event: "kvm:kvm_entry")
    }
  }

  @Test
  func aWrongEventNumberIsCountedAndSaid() throws {
    var file = PerfDataBuilder()
    let attribute = Self.entry()
    file.attributes = [attribute]
    file.sample(attribute, time: 1, raw: Formats.entryRaw(pc: 1, type: 56))
    file.sample(attribute, time: 2, raw: Formats.entryRaw(pc: 2))
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [2])
    #expect(outcome.recording.warnings.count == 2)
    #expect(outcome.recording.isDamaged && outcome.recording.isIncomplete)
  }

  /// None, a COMM, a FORK, and types that nobody has yet.
  @Test(arguments: [0, 3, 7, 40, 200] as [UInt32])
  func aSampleThatIsSaidToBeAnotherRecordIsDamage(type: UInt32) throws {
    var file = PerfDataBuilder()
    let attribute = Self.entry()
    file.attributes = [attribute]
    file.sample(attribute, time: 1, raw: Formats.entryRaw(pc: 1))
    file.record(
      type, PerfDataBuilder.sampleBody(attribute, time: 2, raw: Formats.entryRaw(pc: 2)))
    file.sample(attribute, time: 3, raw: Formats.entryRaw(pc: 3))
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [1, 3])
    #expect(outcome.recording.isDamaged && outcome.recording.isIncomplete)
  }

  @Test
  func aMissingFieldIsNamed() throws {
    var file = PerfDataBuilder()
    file.formats[0].text = Formats.entry.split(separator: "vcpu_pc").joined(separator: "pc")
    let attribute = Self.entry()
    file.attributes = [attribute]
    file.sample(attribute, time: 1, raw: Formats.entryRaw(pc: 1))
    let outcome = try Outcome(file.bytes())
    #expect(outcome.events.isEmpty)
    #expect(outcome.recording.recordedEvents.first?.count == 1)
    #expect(outcome.recording.warnings.first?.contains("vcpu_pc") == true)
  }
}
