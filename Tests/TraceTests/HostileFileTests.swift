import Testing
import Trace

/// Every byte can be wrong: no crash, no hang, and a sentence.
struct HostileFileTests {
  typealias Sample = PerfDataBuilder.Sample

  /// A small file with something of everything.
  static let whole: [UInt8] = {
    var file = PerfDataBuilder()
    let entry = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID),
      sampleType: Sample.usual | Sample.identifier | Sample.read | Sample.callchain,
      readFormat: 0x1c, ids: [1, 2])
    var probe = entry
    probe.config = UInt64(Formats.probeID)
    probe.ids = [3]
    file.attributes = [entry, probe]
    var read = ByteWriter()
    for value in [1, 5, 1, 0] as [UInt64] { read.add(value) }
    var map = ByteWriter()
    map.add(Int32(-1))
    map.add(UInt32(0))
    for _ in 0..<3 { map.add(UInt64(0xffff_8000_0800_0000)) }
    map.text("[kernel.kallsyms]_text")
    map.pad(to: 8)
    file.record(RecordKind.mmap, misc: 1, map.bytes)
    for time in 1...4 as ClosedRange<UInt64> {
      file.sample(
        entry, id: 1, time: time, read: read.bytes, callchain: [1],
        raw: Formats.entryRaw(pc: time))
    }
    file.finishRound()
    var inner = file
    inner.records = ByteWriter()
    inner.sample(
      probe, id: 3, time: 5, read: read.bytes, raw: Formats.entryRaw(pc: 1, type: 1400) + [0, 0])
    file.record(RecordKind.compressed, StoredZstd.stream(inner.records.bytes))
    var lost = ByteWriter()
    for value in [1, 2, 0, 3, 0, 1] as [UInt64] { lost.add(value) }
    file.record(RecordKind.lost, lost.bytes)
    file.finishRound()
    return file.bytes()
  }()

  private func read(_ bytes: [UInt8]) -> TraceError? {
    do throws(TraceError) {
      let outcome = try Outcome(bytes)
      _ = outcome.recording.warnings
      return nil
    } catch {
      return error
    }
  }

  @Test
  func theWholeFileIsFine() throws {
    let outcome = try Outcome(Self.whole)
    #expect(outcome.programCounters == [1, 2, 3, 4])
    #expect(outcome.recording.kernelText?.symbol == "_text")
    #expect(outcome.recording.kernelText?.address == 0xffff_8000_0800_0000)
    #expect(!outcome.recording.isIncomplete)
  }

  @Test
  func cutAtEvery8thByte() {
    for length in stride(from: 0, to: Self.whole.count, by: 8) {
      let error = read(Array(Self.whole[..<length]))
      if let error { #expect(!error.description.isEmpty) }
      if length < 104 { #expect(error != nil, "cut at \(length)") }
    }
  }

  @Test(arguments: 0..<16 as Range<UInt64>)
  func bytesFlipped(seed: UInt64) {
    print("SplitMix(state: \(seed))")
    var random = SplitMix(state: seed)
    for _ in 0..<150 {
      var bytes = Self.whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] =
          [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &random)].randomElement(
            using: &random) ?? 0
      }
      _ = read(bytes)
    }
  }

  @Test
  func everyByteOfTheHeadWithExtremeValues() {
    for place in 0..<min(700, Self.whole.count) {
      for value in [0, 0x7f, 0xff] as [UInt8] {
        var bytes = Self.whole
        bytes[place] = value
        _ = read(bytes)
      }
    }
  }

  /// 300 events that all claim the ids to be the whole file.
  @Test
  func idsThatOverlapAreRefused() {
    var file = PerfDataBuilder()
    file.attributeSize = 64
    file.attributes = Array(
      repeating: PerfDataBuilder.Attribute(config: 1, sampleType: Sample.usual), count: 300)
    var bytes = ByteWriter()
    bytes.add(file.bytes())
    for entry in 0..<300 {
      bytes.set(0, at: 104 + entry * 80 + 64)
      bytes.set(UInt64(bytes.bytes.count), at: 104 + entry * 80 + 72)
    }
    guard case .isCorrupt = read(bytes.bytes)?.code else {
      Issue.record("the event table is accepted")
      return
    }
  }

  @Test
  func aRecordOfNoSizeEndsTheData() throws {
    var file = PerfDataBuilder()
    let attribute = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: Sample.usual)
    file.attributes = [attribute]
    file.sample(attribute, time: 1, raw: Formats.entryRaw(pc: 1))
    file.records.add(UInt64(9))
    file.sample(attribute, time: 2, raw: Formats.entryRaw(pc: 2))
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [1])
    #expect(outcome.recording.isIncomplete)
    #expect(outcome.recording.warnings.first?.contains("0 bytes") == true)
  }

  @Test
  func anImpossibleCPUIsSaid() throws {
    var file = PerfDataBuilder()
    let attribute = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: Sample.usual)
    file.attributes = [attribute]
    file.sample(attribute, time: 1, cpu: 0x7fff_ffff, raw: Formats.entryRaw(pc: 1))
    let outcome = try Outcome(file.bytes())
    #expect(outcome.events.isEmpty)
    #expect(outcome.recording.warnings.first?.contains("CPU") == true)
  }

  @Test
  func filesThatAreNoRecordingsGetOneSentence() {
    #expect(read([])?.code == .isEmpty)
    #expect(read(Array("hello, this is text\n".utf8))?.code == .isNotPerfData)
    #expect(read(Array("PERF".utf8))?.code == .isNotPerfData)
    #expect(read(Array("PERFFILE".utf8))?.code == .isVersion1)
    #expect(read(Array("2ELIFREP".utf8))?.code == .isCut(part: "header", needed: 16))
    #expect(read(Array("PERFILE2".utf8) + [16, 0, 0, 0, 0, 0, 0, 0])?.code == .streamHasNoEvents)
    #expect(read(Array("2ELIFREP".utf8) + [0, 0, 0, 0, 0, 0, 0, 16])?.code == .streamHasNoEvents)
    #expect(read(Array("PERFILE2".utf8) + [17, 0, 0, 0, 0, 0, 0, 0])?.code == .headerSize(17))
    #expect {
      _ = try PerfDataFile(path: "/tmp")
    } throws: {
      ($0 as? TraceError)?.code == .isDirectory
    }
    #expect {
      _ = try PerfDataFile(path: "/nonexistent/perf.data")
    } throws: {
      ($0 as? TraceError)?.description
        == "/nonexistent/perf.data: cannot open the recording: No such file or directory"
    }
  }
}
