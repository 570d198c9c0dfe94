import Testing
import Trace

/// Texts that others printed: each is read as a regular expression counts it, or refused with a
/// sentence.
@Suite(.enabled(if: Corpus.isPresent, "needs ../shared"))
struct TextFixtureTests {
  static let files =
    Corpus.files("fixtures/x86-edge-cases/text") { _ in true }
    + Corpus.files("fixtures/ARM-software+trappy/tests") {
      $0.hasSuffix(".txt") || $0.hasSuffix(".html")
    }

  private static let refused = ["trace.raw.txt": "raw", "trace.hex.txt": "hex"]

  private static let count =
    #"perl -ne 'print "$1\n" if /^.*?\s(?:\d+\.\d+|\d+us.):\s+(\w+):(?:\s|$)/'"#

  @Test(arguments: files)
  func eventsAreThoseThatPerlCounts(path: String) throws {
    let name = String(path.split(separator: "/").last ?? "")
    do throws(TraceError) {
      let events = try Events(file: path)
      #expect(Self.refused[name] == nil)
      let text = Command.output("\(Self.count) '\(path)'") ?? ""
      let expected = text.split(separator: "\n").reduce(into: [:]) {
        $0[String($1), default: UInt64(0)] += 1
      }
      #expect(!expected.isEmpty)
      var counts: [String: UInt64] = [:]
      for event in events.recording.recordedEvents { counts[event.name] = event.count }
      #expect(counts == expected)
      // Every sched_switch is read; the last of one file is cut, which is said.
      let switches = events.list.count {
        if case .schedSwitch = $0.payload { true } else { false }
      }
      let said = events.recording.warnings.count { $0.hasPrefix("line 17 has values") }
      #expect(UInt64(switches + said) == expected["sched_switch"] ?? 0)
      #expect(said == (name == "trace_idle_unsorted.txt" ? 1 : 0))
      #expect(!events.recording.warnings.contains { $0.contains("\n") })
    } catch {
      #expect(error.code == .textOption(Self.refused[name] ?? ""))
      #expect(!error.description.contains("\n"))
    }
  }

  @Test
  func theOverwrittenAndTheLostAreLosses() throws {
    let folder = Corpus.root + "/fixtures/x86-edge-cases/text/"
    let overrun = try Events(file: folder + "trace.overrun.txt")
    #expect(overrun.losses.samples == 987_206 - 3235)
    #expect(overrun.losses.byCPU == [1: 0])
    let pipe = try Events(file: folder + "trace_pipe.txt")
    #expect(pipe.losses.byCPU == [1: 79967, 0: 42072])
    #expect(pipe.recording.format == "ftrace text (trace_pipe)")
    let latency = try Events(file: folder + "trace.latency-format.txt")
    #expect(latency.recording.format == "ftrace text (trace, latency-format)")
    #expect(latency.recording.osRelease == "6.18.44-fc-v657")
    #expect(latency.recording.cpusOnline == 2)
    let groups = try Events(file: folder + "trace.record-tgid.txt")
    #expect(!groups.list.isEmpty)
    #expect(groups.list.contains { $0.pid == $0.tid && $0.pid > 0 })
  }

  @Test
  func lookingAtTheHeadIsEnough() throws {
    for path in Self.files {
      let bytes = Array((Command.output("head -c 4096 '\(path)'") ?? "").utf8)
      #expect(FtraceTextFile.looksLikeFtraceText(bytes), "\(path)")
    }
    for path in Corpus.recordings.prefix(2) {
      let bytes = Array((Command.output("head -c 4096 '\(path)'") ?? "").utf8)
      #expect(!FtraceTextFile.looksLikeFtraceText(bytes))
    }
    for text in ["", "hello\nworld\n", "{\"a\": [1, 2]}\n", "key=value\n", "#!/bin/sh\necho\n"] {
      #expect(!FtraceTextFile.looksLikeFtraceText(Array(text.utf8)))
    }
  }
}
