import Testing
import Trace

/// What a reader is told, as it reads.
struct TraceErrorTests {
  @Test func aPartMayBeOneOrMany() {
    for part in ["event formats", "ring buffer page"] {
      let error = TraceError(
        .isCorrupt(part: part, reason: "it ends early"), path: "perf.data", offset: 8)
      #expect(error.description == "perf.data, byte 8: corrupt \(part): it ends early")
    }
  }
}
