import Testing

@testable import Trace

/// Texts of a recording, against the recording itself as ``PerfDataFile`` reads it.
struct FtraceTextTests {
  @Test(arguments: Corpus.recordings)
  func perfScriptIsThePerfData(path: String) throws {
    let text = try TextFile.of("perf script --ns --guestkallsyms=/dev/null --show-task-events -F pid,tid,cpu,time,event,trace,comm -i '\(path)'")
    let expected = try Events(perfData: path)
    let events = try Events(text: text.path)
    #expect(events.list.count == expected.list.count)
    #expect(events.recording.format == "ftrace text (perf script)")
    #expect(events.firstDifference(from: expected) == nil)
  }
}
