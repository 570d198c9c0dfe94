import Testing
import Trace

/// Texts of a recording, against the recording itself as ``PerfDataFile`` reads it.
struct FtraceTextTests {
  @Test func perfIsInstalled() { #expect(Corpus.hasPerf, "install linux-perf") }

  private static let script = "perf script --guestkallsyms=/dev/null"

  /// Those of traces/, one with losses, and one of each other kind.
  private static let some = Corpus.recordings.filter { path in
    path.contains("/traces/")
      || ["deb-6.12/good", "v7/lossy-good", "v7/nokprobes-good", "v7/good-two-vmms"].contains {
        path.contains($0)
      }
  }

  /// perf of Debian 13 has libtraceevent's plugins, which print less of a sched_switch than its fields.
  private static let usesPlugins =
    Command.output("\(script) -i '\(Corpus.recordings[0])' | grep -m 1 ' sched:sched_switch: '")?
    .contains("prev_pid=") == false

  private static func difference(_ found: Events, _ expected: Events) -> String? {
    usesPlugins
      ? found.asPluginPrints.difference(from: expected.asPluginPrints)
      : found.difference(from: expected)
  }

  /// perf script prints all but forks' own time, and (libtraceevent 1.7) no errno.
  @Test(arguments: some)
  func perfScriptIsThePerfData(path: String) throws {
    let text = try TextFile.of(
      "\(Self.script) --ns --show-task-events --show-lost-events "
        + "-F comm,pid,tid,cpu,time,event,trace -i '\(path)'")
    let events = try Events(text: text)
    let expected = try Events(perfData: path)
    #expect(events.recording.format == "ftrace text (perf script)")
    #expect(Self.difference(events.with(time: 1), expected.with(time: 1)) == nil)
    #expect(events.forks == expected.forks)
    #expect(!events.forks.isEmpty)
    #expect(events.losses.byCPU == expected.losses.byCPU)
    #expect(events.recording.isIncomplete == false)
    #expect(events.counts == expected.counts.filter { $0.value > 0 })
  }

  /// As most people call it: no process ids, microseconds.
  @Test(arguments: Corpus.recordings.prefix(3))
  func perfScriptByDefaultLacksProcessesAndNanoseconds(path: String) throws {
    let text = try TextFile.of("\(Self.script) -i '\(path)'")
    let events = try Events(text: text)
    let expected = try Events(perfData: path).with(time: 1000, processes: false)
    #expect(Self.difference(events.with(time: 1), expected) == nil)
    #expect(events.recording.warnings.first?.contains("whole microseconds") == true)
    #expect(events.recording.warnings.first?.contains("process ids are missing") == true)
  }

  /// Without --guestkallsyms perf script hides most of what matters, and says nothing.
  @Test
  func eventsThatPerfScriptHidesAreMissed() throws {
    let path = try #require(Corpus.recordings.first)
    let hidden = try Events(text: TextFile.of("perf script -i '\(path)'"))
    let shown = try Events(text: TextFile.of("\(Self.script) -i '\(path)'"))
    #expect(hidden.recording.warnings.contains { $0.contains("--guestkallsyms=/dev/null") })
    #expect(!shown.recording.warnings.contains { $0.contains("--guestkallsyms") })
  }

  /// Carriage returns, a shuffle of neighbours, and a cut end change nothing else.
  @Test
  func carriageReturnsDisorderAndACutEnd() throws {
    let path = try #require(Corpus.recordings.dropFirst().first)
    let text = try #require(Command.output("\(Self.script) --ns -i '\(path)'"))
    let expected = try Events(text: TextFile(Array(text.utf8)))
    var lines = text.split(separator: "\n")
    for first in stride(from: 0, to: lines.count - 64, by: 64) {
      lines[first..<first + 64].reverse()
    }
    let shuffled = lines.joined(separator: "\r\n") + "\r\n"
    let events = try Events(text: TextFile(Array(shuffled.utf8)))
    #expect(events.with(time: 1).difference(from: expected.with(time: 1)) == nil)

    let cut = Array(text.utf8.dropLast(7))
    let shorter = try Events(text: TextFile(cut))
    #expect(shorter.recording.isIncomplete)
    #expect(shorter.list.count <= expected.list.count)
    #expect(shorter.list.count >= expected.list.count - 1)
  }

  @Test
  func aSecondPassDeliversTheSame() throws {
    let path = try #require(Corpus.recordings.first)
    let text = try TextFile.of("\(Self.script) -i '\(path)'")
    var file = try FtraceTextFile(path: text.path)
    var times: [[UInt64]] = [[], []]
    for pass in 0..<2 { try file.readEvents { times[pass].append($0.time) } }
    #expect(times[0] == times[1])
    #expect(!times[0].isEmpty)
    #expect(file.firstTimeByCPU.count == 4)
    #expect(file.lastTimeByCPU.allSatisfy { $0.value >= file.firstTimeByCPU[$0.key] ?? .max })
  }
}
