import Testing
import Trace

/// One byte of a record changed, so that a sample is none, or is hidden in the one before it: never in silence.
struct HiddenRecordTests {
  private static let attribute = PerfDataBuilder.Attribute(
    config: UInt64(Formats.entryID), sampleType: PerfDataBuilder.Sample.usual)

  private static func builder(rounds: Int = 0) -> PerfDataBuilder {
    var file = PerfDataBuilder()
    file.attributes = [attribute]
    for time in 1...6 as ClosedRange<UInt64> {
      file.sample(attribute, time: time, raw: Formats.entryRaw(pc: 1))
    }
    for _ in 0..<rounds { file.finishRound() }
    return file
  }

  private static let size =
    8 + PerfDataBuilder.sampleBody(attribute, time: 1, raw: Formats.entryRaw(pc: 1)).count

  private func read(_ file: PerfDataBuilder) throws -> Outcome { try Outcome(file.bytes()) }

  @Test func nothingIsSaidOfTheWhole() throws {
    let whole = try read(Self.builder(rounds: 1))
    #expect(whole.events.count == 6 && !whole.recording.isIncomplete)
    #expect(whole.recording.warnings == [])
  }

  @Test(
    arguments: [
      RecordKind.finishedRound, RecordKind.tracingData, RecordKind.auxTrace, RecordKind.lost, 3, 17,
    ] as [UInt32])
  func aSampleThatIsSaidToBeAnotherRecord(type: UInt32) throws {
    var file = Self.builder()
    file.records.set(word: type, at: 2 * Self.size)
    let outcome = try read(file)
    #expect(outcome.recording.isIncomplete)
    #expect(outcome.events.count { if case .entry = $0.payload { true } else { false } } < 6)
  }

  /// A sample says that the next one is in it.
  @Test(arguments: [1, 3])
  func aSampleThatHoldsOthers(others: Int) throws {
    var file = Self.builder()
    file.records.set(word: UInt16(Self.size * (1 + others)), at: Self.size + 6)
    let outcome = try read(file)
    #expect(outcome.recording.isIncomplete && outcome.recording.isDamaged)
    #expect(outcome.recording.warnings.contains { $0.contains("is longer than what is in it") })
  }

  /// Zeros where a page was, as a file system leaves them that lost its power.
  @Test(arguments: [6, 7], [0, 1])
  func aPageOfZeros(version: Int, which: Int) throws {
    var pages: [[UInt8]] = (1...3).map { number in
      var page = PageBuilder(time: UInt64(number) * 1000)
      page.entry(after: 1, pc: UInt64(number))
      page.nothing()
      return page.bytes()
    }
    func outcome() throws -> TraceDatOutcome {
      var file = TraceDatBuilder()
      file.add(0, pages)
      return try TraceDatOutcome(version == 6 ? file.version6() : file.version7())
    }
    let whole = try outcome()
    #expect(whole.events.count == 3 && !whole.recording.isIncomplete)
    pages[which] = Array(repeating: 0, count: pages[which].count)
    let damaged = try outcome()
    #expect(damaged.recording.isIncomplete && damaged.recording.isDamaged)
    #expect(damaged.events.count { if case .entry = $0.payload { true } else { false } } == 2)
    #expect(damaged.recording.warnings.contains { $0.contains("the page before it has no events") })
  }
}
