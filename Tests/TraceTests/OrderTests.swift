import Testing
import Trace

/// Order, losses and compression.
struct OrderTests {
  typealias Sample = PerfDataBuilder.Sample

  private let attribute = PerfDataBuilder.Attribute(
    config: UInt64(Formats.entryID), sampleType: Sample.usual | Sample.identifier, ids: [3])

  private func builder() -> PerfDataBuilder {
    var file = PerfDataBuilder()
    file.attributes = [attribute]
    return file
  }

  private func add(_ times: [UInt64], cpu: UInt32, to file: inout PerfDataBuilder) {
    for time in times {
      file.sample(attribute, id: 3, time: time, cpu: cpu, raw: Formats.entryRaw(pc: time))
    }
  }

  @Test
  func roundsAreMerged() throws {
    var file = builder()
    add([10, 20, 30], cpu: 0, to: &file)
    add([5, 21, 29], cpu: 1, to: &file)
    file.finishRound()
    add([40, 50], cpu: 0, to: &file)
    add([25, 45], cpu: 1, to: &file)
    file.finishRound()
    add([60], cpu: 0, to: &file)
    add([48], cpu: 1, to: &file)
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [5, 10, 20, 21, 25, 29, 30, 40, 45, 48, 50, 60])
    #expect(outcome.recording.warnings == [])
  }

  /// perf goes on from an older head than it had read.
  @Test
  func whatTheRecorderWroteTwiceIsTakenOnce() throws {
    var file = builder()
    add([10, 20, 30], cpu: 0, to: &file)
    add([15, 30, 35], cpu: 1, to: &file)
    file.finishRound()
    add([20, 30, 40], cpu: 0, to: &file)
    file.sample(attribute, id: 3, time: 35, cpu: 1, raw: Formats.entryRaw(pc: 36))
    add([50], cpu: 1, to: &file)
    file.finishRound()
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [10, 15, 20, 30, 30, 35, 36, 40, 50])
    #expect(
      outcome.recording.warnings == [
        "2 samples were written twice by the recorder, and are taken once"
      ])
  }

  @Test
  func eventsOfOneTimeKeepTheirOrder() throws {
    var file = builder()
    for cpu in [3, 1, 2, 0] as [UInt32] { add([7, 7], cpu: cpu, to: &file) }
    file.finishRound()
    #expect(try Outcome(file.bytes()).events.map(\.cpu) == [3, 3, 1, 1, 2, 2, 0, 0])
  }

  @Test
  func aLateEventIsDeliveredAndSaid() throws {
    var file = builder()
    add([10, 20], cpu: 0, to: &file)
    file.finishRound()
    add([30], cpu: 0, to: &file)
    file.finishRound()
    add([2], cpu: 1, to: &file)
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters.sorted() == [2, 10, 20, 30])
    #expect(outcome.programCounters.first == 10)
    #expect(
      outcome.recording.warnings == [
        "1 event came out of order, later than the recorder's rounds allow"
      ])
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func roundsOfRandomRunsComeOutSorted(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    var file = builder()
    var all: [UInt64] = []
    var start: UInt64 = 1000
    for _ in 0..<20 {
      for cpu in 0..<UInt32.random(in: 1...9, using: &random) {
        let times = (0..<Int.random(in: 0...30, using: &random)).map { i in
          // A pCPU has each time once.
          UInt64.random(in: start..<(start + 1500), using: &random) * 65536 + UInt64(all.count + i)
        }.sorted()
        all += times
        add(times, cpu: cpu, to: &file)
      }
      file.finishRound()
      start += 1000
      // What comes next may be older than this round's newest, not than the last round's.
      if Bool.random(using: &random) { start += 500 }
    }
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters.count == all.count, "seed \(seed)")
    #expect(outcome.programCounters.sorted() == all.sorted(), "seed \(seed)")
    let late = outcome.recording.warnings.isEmpty
    #expect(late == (outcome.programCounters == all.sorted()), "seed \(seed)")
  }

  /// perf record --overwrite: each buffer newest first, and a round means nothing.
  @Test
  func overwrittenBuffersAreTurnedRound() throws {
    var file = PerfDataBuilder()
    var backward = attribute
    backward.flags |= 1 << 27
    file.attributes = [backward]
    add([90, 60, 30, 10], cpu: 0, to: &file)
    file.finishRound()
    add([80, 70, 20], cpu: 1, to: &file)
    file.finishRound()
    file.finishRound()
    add([5], cpu: 2, to: &file)
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [5, 10, 20, 30, 60, 70, 80, 90])
    #expect(outcome.recording.warnings == [])
  }

  @Test
  func aLossIsAnEventOfItsCPU() throws {
    var file = builder()
    add([10, 20, 30], cpu: 2, to: &file)
    var lost = ByteWriter()
    lost.add(UInt64(3))
    lost.add(UInt64(41))
    lost.add(UInt64(0x5_0000_0005))
    lost.add(UInt64(25))
    lost.add(UInt64(2))
    lost.add(UInt64(3))
    file.record(RecordKind.lost, lost.bytes)
    var end = ByteWriter()
    end.add(UInt64(50))
    for value in [0, 0, 0, 3] as [UInt64] { end.add(value) }
    file.record(RecordKind.lostSamples, end.bytes)
    file.record(RecordKind.lostSamples, misc: RecordHeader.lostSamplesBPF, end.bytes)
    let outcome = try Outcome(file.bytes())
    #expect(outcome.events.map(\.time) == [10, 20, 25, 30])
    guard case .lost(count: 41) = outcome.events[2].payload else {
      Issue.record("no loss at its place")
      return
    }
    #expect(outcome.events[2].cpu == 2)
    #expect(outcome.losses.byCPU == [2: 41])
    #expect(outcome.losses.samples == 50)
  }

  /// One stream in pieces of any size: records straddle them, FINISHED_ROUND stands between them.
  @Test(arguments: [1, 7, 64, 1000, 60000], [RecordKind.compressed, RecordKind.compressed2])
  func compressedPiecesOfAnySize(piece: Int, type: UInt32) throws {
    let count: UInt64 = piece < 64 ? 40 : 20000
    var inner = builder()
    for time in 0..<count {
      inner.sample(attribute, id: 3, time: time, raw: Formats.entryRaw(pc: time))
    }
    let stream = StoredZstd.stream(inner.records.bytes)
    var file = builder()
    var offset = 0
    var number = 0
    while offset < stream.count {
      let part = Array(stream[offset..<min(offset + piece, stream.count)])
      var body = ByteWriter()
      if type == RecordKind.compressed2 { body.add(UInt64(part.count)) }
      body.add(part)
      if type == RecordKind.compressed2 { body.pad(to: 8) }
      file.record(type, body.bytes)
      offset += part.count
      number += 1
      if number % 3 == 0 { file.finishRound() }
    }
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters.count == Int(count))
    #expect(outcome.programCounters == Array(0..<count))
    #expect(outcome.recording.warnings == [])
  }

  @Test
  func whatZstdRefusesEndsTheData() throws {
    var file = builder()
    add([1], cpu: 0, to: &file)
    file.record(RecordKind.compressed, Array("no zstd in here".utf8))
    add([2], cpu: 0, to: &file)
    let outcome = try Outcome(file.bytes())
    #expect(outcome.programCounters == [1])
    #expect(outcome.recording.isIncomplete)
    #expect(outcome.recording.warnings.first?.contains("zstd cannot decompress") == true)
  }
}
