import Bytes
import Testing
import Trace

/// What perf itself learnt to check in 2026 (its perf-data-validation series), item by item. Of the series here are
/// those that no other test has: an impossible CPU and ids that overlap are HostileFileTests', truncation at
/// every byte is theirs and HostileStreamTests', a turned COMPRESSED2 is EncodingTests'.
struct ValidationTests {
  typealias Sample = PerfDataBuilder.Sample

  private static let entry = PerfDataBuilder.Attribute(
    config: UInt64(Formats.entryID), sampleType: Sample.usual)

  private static func builder(_ attribute: PerfDataBuilder.Attribute = entry) -> PerfDataBuilder {
    var file = PerfDataBuilder()
    file.attributes = [attribute]
    return file
  }

  private static func warns(_ outcome: Outcome, _ words: String) -> Bool {
    outcome.recording.warnings.contains { $0.contains(words) }
  }

  @Test(
    "ids behind the end of the file, or so many that their end wraps",
    arguments: [1, 8, .max, .max - 7])
  func ids(size: UInt64) {
    var bytes = ByteWriter()
    bytes.add(Self.builder().bytes())
    bytes.set(UInt64(bytes.bytes.count), at: 104 + 128)
    bytes.set(size, at: 104 + 128 + 8)
    let error = #expect(throws: TraceError.self) { _ = try Outcome(bytes.bytes) }
    guard case .isCorrupt(part: "event table", _)? = error?.code else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func whatFollowsIsSaid() throws {
    var file = Self.builder()
    file.finishRound()
    let bytes = file.bytes()
    let one = try Outcome(bytes)
    #expect(!one.recording.isIncomplete)
    let two = try Outcome(bytes + bytes)
    #expect(two.recording.isIncomplete)
    #expect(
      Self.warns(
        two, "\(bytes.count) bytes follow the recording in its file, from byte \(bytes.count) on"))
  }

  enum Count: CaseIterable { case read, callchain, raw, branches }

  /// One sample says that it has more of something than its record; those around it are read.
  @Test(
    "a count beyond its record", arguments: Count.allCases,
    [100, 1 << 32, 1 << 61, .max] as [UInt64])
  func counts(count: Count, said: UInt64) throws {
    var attribute = Self.entry
    if count == .read {
      attribute.sampleType |= Sample.read
      attribute.readFormat = 1 << 3
    }
    if count == .callchain { attribute.sampleType |= Sample.callchain }
    if count == .branches { attribute.sampleType |= Sample.branchStack }
    var file = Self.builder(attribute)
    let group: [UInt8] = count == .read ? [1] + [UInt8](repeating: 0, count: 15) : []
    for time in 1...3 as ClosedRange<UInt64> {
      var body = ByteWriter()
      body.add(
        PerfDataBuilder.sampleBody(
          attribute, time: time, read: group, raw: Formats.entryRaw(pc: time)))
      if time == 2 {
        // Behind ip, tid, time, cpu and period.
        let fixed = 40
        switch count {
        case .read, .callchain: body.set(said, at: fixed)
        case .raw: body.set(UInt64(Formats.entryID) << 32 | 0xffff_fffe, at: fixed)
        case .branches: body.set(said, at: body.bytes.count - 8)
        }
      }
      file.record(RecordKind.sample, body.bytes)
    }
    let outcome = try Outcome(file.bytes())
    if count == .branches {
      // The event itself lies in front of them.
      #expect(outcome.programCounters == [1, 2, 3])
    } else {
      #expect(outcome.programCounters == [1, 3])
      #expect(Self.warns(outcome, "shorter than its event's description"))
      #expect(outcome.recording.isIncomplete)
    }
  }

  @Test("an index of ids that has fewer than it says")
  func idIndex() throws {
    var file = Self.builder()
    for said in [1, 2, 1 << 59, .max] as [UInt64] {
      var body = ByteWriter()
      for value in [said, 5, 0, 1] { body.add(value) }
      file.record(RecordKind.idIndex, body.bytes)
    }
    file.sample(Self.entry, time: 1, raw: Formats.entryRaw(pc: 1))
    #expect(try Outcome(file.bytes()).programCounters == [1])
  }

  /// Each is text to the end of its record, and no further.
  @Test("names without an end")
  func names() throws {
    var file = Self.builder()
    var comm = ByteWriter()
    comm.add(UInt32(7))
    comm.add(UInt32(7))
    comm.add(Array("eightlet".utf8))
    file.record(RecordKind.comm, comm.bytes)
    var map = ByteWriter()
    map.add(UInt32.max)
    map.add(UInt32(0))
    for value in [0, 0, 4096] as [UInt64] { map.add(value) }
    map.add(Array("[kernel.kallsyms]_stext!".utf8))
    file.record(RecordKind.mmap, misc: 1, map.bytes)
    file.sample(Self.entry, time: 1, raw: Formats.entryRaw(pc: 1))
    var build = ByteWriter()
    build.add(UInt32(0))
    build.add(UInt16(1))
    build.add(UInt16(8 + 4 + 24 + 20))
    build.add(UInt32.max)
    build.add([UInt8](repeating: 0xab, count: 24))
    build.add(Array("[kernel.kallsyms]xyz".utf8))
    var machine = ByteWriter()
    machine.add(UInt32(7))
    machine.add(Array("aarch64".utf8))
    file.sections = [(6, machine.bytes)]
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [1])
    #expect(outcome.recording.threadNames[7] == "eightlet")
    #expect(outcome.recording.kernelText?.symbol == "_stext!")
    #expect(outcome.recording.architecture == "aarch64")
    #expect(
      BuildIDTable.kernel(in: build.bytes.rawBytes, isSwapped: false)
        == [UInt8](repeating: 0xab, count: 20))
  }

  /// Feature 12: count, size of an attr; attr, number of ids, name, ids.
  @Test(
    "a description of events with an impossible size or count",
    arguments: [(1, 0), (1, 7), (1, .max), (.max, 0), (.max, 128), (0, 128)] as [(UInt32, UInt32)])
  func eventDescription(count: UInt32, attributeSize: UInt32) throws {
    var file = Self.builder()
    file.sample(Self.entry, time: 1, raw: Formats.entryRaw(pc: 1))
    var section = ByteWriter()
    section.add(count)
    section.add(attributeSize)
    section.add([UInt8](repeating: 0, count: 128))
    section.add(UInt32.max)
    section.add(UInt32(8))
    section.text("kvm:abc")
    file.sections = [(12, section.bytes)]
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [1])
    #expect(Self.warns(outcome, "feature section 12") == (max(count, attributeSize) == .max))
  }

  @Test(
    "a bitmap larger than its section, or than the file",
    arguments: [64, 1 << 32, .max] as [UInt64])
  func bitmap(size: UInt64) throws {
    var file = Self.builder()
    file.sample(Self.entry, time: 1, raw: Formats.entryRaw(pc: 1))
    // MEM_TOPOLOGY: version, bytes of a block, count; node, size of its memory, bits of a bitmap.
    var section = ByteWriter()
    for value in [1, 1 << 27, 1, 0, 1 << 30, size] { section.add(value) }
    file.sections = [(22, section.bytes)]
    #expect(try Outcome(file.bytes()).programCounters == [1])
  }

  @Test("all features at once, of which the file has two")
  func features() throws {
    var file = Self.builder()
    file.sample(Self.entry, time: 1, raw: Formats.entryRaw(pc: 1))
    var bytes = ByteWriter()
    bytes.add(file.bytes())
    for word in 0..<4 { bytes.set(.max, at: 72 + 8 * word) }
    let outcome = try? Outcome(bytes.bytes)
    #expect(outcome?.recording.isIncomplete ?? true)
  }

  /// 64 KiB that say to be 2 GiB of one byte: records of no size, or of 65535 bytes each.
  @Test("records that unpack to more than can be", arguments: [0, 0xff] as [UInt8])
  func decompression(byte: UInt8) throws {
    var file = Self.builder()
    file.sample(Self.entry, time: 1, raw: Formats.entryRaw(pc: 1))
    var stream: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50]
    // RLE blocks of 128 KiB (RFC 8878, 3.1.1.2).
    let header = UInt32(1 << 17) << 3 | 1 << 1
    for _ in 0..<2000 {
      stream += [UInt8(header & 255), UInt8(header >> 8 & 255), UInt8(header >> 16), byte]
    }
    file.record(RecordKind.compressed, stream)
    let time = try processorTime {
      let outcome = try Outcome(file.bytes())
      #expect(outcome.programCounters == [1])
      #expect(outcome.recording.isIncomplete || byte != 0)
    }
    #expect(time < 20)
  }
}
