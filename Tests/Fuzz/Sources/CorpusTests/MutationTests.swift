import Glibc
import Testing

/// A recording of traces/, cut short, and broken in ways that random bytes do not find.
struct MutationTests {
  private static let base = PerfDataParts(
    Scratch.bytes(CorpusTests.root + "/Seeds/perf-data/deb-6.1-good.plain.data"))

  /// $PTRAUTH_TRACE_MUTANTS of each kind.
  private static let count =
    unsafe getenv("PTRAUTH_TRACE_MUTANTS").flatMap { unsafe UInt64(String(cString: $0)) } ?? 40

  @Test func theBaseIsWhole() {
    #expect(Self.base.records.count > 20 && Self.base.featureCount > 5)
    #expect(Self.base.records.last?.upperBound == Self.base.data.upperBound)
  }

  @Test(arguments: Mutation.all)
  func comesBack(mutation: Mutation) throws {
    let scratch = try #require(Scratch())
    defer { scratch.remove() }
    for seed in 0..<Self.count {
      var random = SplitMix(state: seed)
      let bytes = mutation.change(Self.base, &random)
      let time = processorTime { Target.perfData.run(bytes, scratch) }
      #expect(time < 5, "\(mutation.testDescription), seed \(seed)")
      Target.redaction.run(bytes, scratch)
    }
  }
}
