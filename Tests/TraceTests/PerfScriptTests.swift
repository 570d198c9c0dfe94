import Testing
import Trace

/// What `perf script` prints for one event.
private struct Line {
  var pid: Int32
  var tid: Int32
  var cpu: Int32
  var time: UInt64
  var name: Substring
  var values: Substring
}

/// `perf script` is the oracle: the same events, in the same order, with the same values.
struct PerfScriptTests {
  @Test func perfIsInstalled() { #expect(Corpus.hasPerf, "install linux-perf") }

  /// Parses "  89/94 [003]     5.768588000:  kvm:kvm_entry: PC: 0x...".
  private static func lines(_ path: String) -> [Line] {
    let text =
      Command.output(
        "perf script --guestkallsyms=/dev/null --ns -F pid,tid,cpu,time,event,trace -i '\(path)'")
      ?? ""
    return text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: true)
      let task = words.first?.split(separator: "/").compactMap { Int32($0) } ?? []
      guard words.count >= 4, task.count == 2, words[1].first == "[",
        let cpu = Int32(words[1].dropFirst().dropLast()), words[2].last == ":"
      else { return nil }
      let time = words[2].dropLast().split(separator: ".")
      guard time.count == 2, let seconds = UInt64(time[0]), let rest = UInt64(time[1]) else {
        return nil
      }
      return Line(
        pid: task[0], tid: task[1], cpu: cpu, time: seconds * 1_000_000_000 + rest,
        name: words[3].dropLast(),
        values: words.count > 4 ? words[4] : "")
    }
  }

  @Test(arguments: Corpus.recordings)
  func countsAreThoseOfPerfScript(path: String) throws {
    var expected: [String: UInt64] = [:]
    for line in Self.lines(path) { expected[String(line.name), default: 0] += 1 }
    var file = try PerfDataFile(path: path)
    try file.readEvents { _ in }
    var counted: [String: UInt64] = [:]
    for event in file.recording.recordedEvents where event.count > 0 {
      counted["\(event.system):\(event.name)"] = event.count
    }
    #expect(!expected.isEmpty)
    #expect(counted == expected)
  }

  @Test(arguments: Corpus.recordings)
  func eventsAreThoseOfPerfScriptInItsOrder(path: String) throws {
    let lines = Self.lines(path).filter { Expectation.isDelivered($0.name) }
    var file = try PerfDataFile(path: path)
    let probes = Set(
      file.recording.recordedEvents.filter(\.isProbe).map { "\($0.system):\($0.name)" })
    var index = 0
    var different = 0
    var first: String?
    try file.readEvents { event in
      switch event.payload {
      case .lost, .fork: return
      default: break
      }
      guard index < lines.count else {
        index += 1
        return
      }
      let line = lines[index]
      index += 1
      let isSame =
        event.time == line.time && event.cpu == line.cpu && event.tid == line.tid
        && event.pid == line.pid
        && Expectation.matches(event.payload, line.name, line.values, probes)
      if !isSame {
        different += 1
        if first == nil {
          first = "event \(index - 1): \(line.name) at \(line.time) on CPU \(line.cpu)"
        }
      }
    }
    #expect(index == lines.count)
    #expect(different == 0, "first: \(first ?? "")")
  }

  /// Threads created while recording; those that were there before have time 0.
  @Test(arguments: Corpus.recordings)
  func forksAreThoseOfPerfScript(path: String) throws {
    let text =
      Command.output("perf script --show-task-events --ns --guestkallsyms=/dev/null -i '\(path)'")
      ?? ""
    let expected = text.split(separator: "\n").compactMap { line -> Substring? in
      guard let range = line.firstRange(of: "PERF_RECORD_FORK"),
        !line.contains(" 0.000000000:")
      else { return nil }
      return line[range.upperBound...].prefix { $0 != ")" }
    }
    var forks: [String] = []
    var file = try PerfDataFile(path: path)
    try file.readEvents {
      if case .fork(let child, let childPid) = $0.payload { forks.append("(\(childPid):\(child)") }
    }
    #expect(!forks.isEmpty)
    #expect(forks == expected.map(String.init))
  }

  @Test(arguments: Corpus.recordings)
  func aSecondPassDeliversTheSame(path: String) throws {
    var file = try PerfDataFile(path: path)
    var times: [[UInt64]] = [[], []]
    for pass in 0..<2 { try file.readEvents { times[pass].append($0.time) } }
    #expect(times[0] == times[1])
    #expect(!times[0].isEmpty)
  }

  @Test(arguments: Corpus.recordings)
  func theRecordingSaysWhatItsReadmeSays(path: String) throws {
    let file = try PerfDataFile(path: path)
    #expect(file.recording.architecture == "aarch64")
    #expect(
      file.recording.kernelText?.symbol == "_text" || file.recording.kernelText?.symbol == "_stext")
    #expect(file.recording.osRelease?.hasPrefix("6.") == true)
    #expect(file.recording.cpusOnline == 4)
    #expect(file.recording.commandLine.contains("record"))
    #expect(file.recording.isIncomplete == false)
    #expect(file.recording.warnings == [])
  }
}
