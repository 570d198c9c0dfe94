import Testing
import Trace

/// Files that others made: each is read as its authors' own decode says, or refused with a sentence.
@Suite(.enabled(if: Corpus.isPresent, "needs ../shared"))
struct FixtureTests {
  private static func samples(_ file: borrowing PerfDataFile) -> UInt64 {
    file.recording.recordedEvents.reduce(0) { $0 + $1.count }
  }

  static let decodedByTheirAuthors = Corpus.files("fixtures") { $0.hasSuffix(".pb_text.zst") }

  @Test(arguments: decodedByTheirAuthors)
  func samplesAreThoseOfTheDecode(text: String) throws {
    let decode = try #require(Command.output("zstdcat '\(text)'"))
    let expected = decode.split(separator: "\n").count { $0 == "  sample_event {" }
    let lost = decode.split(separator: "\n").filter { $0.hasPrefix("    num_lost: ") }
      .compactMap { UInt64($0.dropFirst(14)) }.reduce(0, +)
    var file = try PerfDataFile(path: String(text.dropLast(".pb_text.zst".count)))
    try file.readEvents { _ in }
    #expect(Self.samples(file) == UInt64(expected))
    #expect(file.losses.samples == lost)
  }

  static let perfFiles = Corpus.files("fixtures") { path in
    let name = path.split(separator: "/").last ?? ""
    return
      (name.contains("perf.data") || name.hasSuffix(".data") || path.contains("/perf/")
      || name.contains(".data.")) && !name.hasSuffix(".zst") && !name.hasSuffix(".json")
      && !path.contains("/trace-dat/") && !path.hasSuffix(".txt") && !path.hasSuffix(".md")
  }

  private static let refused = ["perf.data.true.v1", "perf.data.broken.gz", "data.0", "data.1"]
  private static let damaged = [
    "zero_size_sample-3.2", "killed.perf.data", "trunc.perf.data", "sleep.compressed2.pipe.data",
  ]

  /// perf script prints one line a sample also of streams, where perf report has no sum.
  @Test(
    arguments: ["pipe.perf.data", "pipez.perf.data", "ovw.perf.data", "dir.perf.data"])
  func samplesAreThoseOfPerfScriptInItsOrder(name: String) throws {
    let path = Corpus.root + "/fixtures/x86-edge-cases/perf/" + name
    let text = try #require(
      Command.output("perf script -f --ns -F tid,cpu,time,event,trace -i '\(path)' </dev/null"))
    var expected: [String] = []
    var samples: UInt64 = 0
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 3, words[1].first == "[", words[2].last == ":" else { continue }
      samples += 1
      guard words[3] == "sched:sched_switch:" else { continue }
      let tasks = SwitchText(words[4...].joined(separator: " ")[...])
      let prev = try #require(tasks.prev)
      let next = try #require(tasks.next)
      expected.append(
        "\(words[0]) \(words[1]) \(words[2].dropLast()) prev_pid=\(prev) next_pid=\(next)")
    }
    var file = try PerfDataFile(path: path)
    var found: [String] = []
    try file.readEvents { event in
      guard case .schedSwitch(let prev, _, let next) = event.payload else { return }
      func padded(_ number: some BinaryInteger, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.count)) + text
      }
      found.append(
        "\(event.tid) [\(padded(event.cpu, 3))] \(event.time / 1_000_000_000)."
          + "\(padded(event.time % 1_000_000_000, 9)) prev_pid=\(prev) next_pid=\(next)")
    }
    #expect(Self.samples(file) == samples)
    #expect(found == expected)
    #expect(found.isEmpty == (name == "ovw.perf.data"), "kvm_emulate_insn only")
    #expect(file.recording.warnings == [])
  }

  /// One workload in several encodings, by others.
  @Test
  func encodingsOfOneWorkloadHaveTheSameSamples() throws {
    let folder = Corpus.root + "/fixtures/mstange+linux-perf-data/tests/fixtures/"
    // perf script prints 8 of the pipe; the files have a newer attr than perf 6.1 reads.
    for name in ["sleep.compressed.pipe.data", "sleep.compressed.data"] {
      var file = try PerfDataFile(path: folder + name)
      try file.readEvents { _ in }
      #expect(Self.samples(file) == 8, "\(name)")
    }
    let probes = Corpus.root + "/fixtures/KDAB+perfparser/tests/auto/perfdata/probe.data."
    var found: [[String: UInt64]] = []
    for mode in ["file", "stream"] {
      var file = try PerfDataFile(path: probes + mode)
      try file.readEvents { _ in }
      found.append(
        Dictionary(
          file.recording.recordedEvents.map { ("\($0.system):\($0.name)", $0.count) },
          uniquingKeysWith: +))
    }
    #expect(found[0] == found[1])
    #expect(found[0].values.contains(1))
  }

  @Test(
    .enabled(if: Corpus.hasPerf, "needs perf"),
    arguments: perfFiles)
  func samplesAreThoseOfPerfReportOrTheFileIsRefused(path: String) throws {
    do throws(TraceError) {
      var file = try PerfDataFile(path: path)
      try file.readEvents { _ in }
      let stats = Command.output("perf report --stats -f -i '\(path)' </dev/null") ?? ""
      // "           SAMPLE events:       1768  (46.6%)": the line of all events.
      let counts = stats.split(separator: "\n").filter { $0.contains(" SAMPLE events:") }
        .compactMap { $0.split(separator: " ").lazy.compactMap { UInt64($0) }.first }
      if let all = counts.first { #expect(Self.samples(file) == all) }
      // A record of no size comes before the first sample.
      #expect(Self.samples(file) > 0 || path.contains("zero_size_sample"))
      #expect(file.recording.isIncomplete == Self.damaged.contains { path.hasSuffix($0) })
    } catch {
      #expect(Self.refused.contains { path.hasSuffix($0) }, "\(error)")
      #expect([.isVersion1, .isNotPerfData].contains(error.code))
      #expect(!error.description.contains("\n"))
    }
  }

  /// microsoft/LinuxTracepoints: every sched_switch with its values, in JSON lines.
  @Test
  func schedSwitchesAreThoseOfTheJSON() throws {
    let folder = Corpus.root + "/fixtures/microsoft+LinuxTracepoints/TestOutput/"
    let json = try #require(Command.output("cat '\(folder)perf.data.linux.json'"))
    func number(_ line: Substring, _ key: String) -> Int64 {
      guard let place = line.firstRange(of: "\"\(key)\":") else { return .min }
      let value = line[place.upperBound...].drop { $0 == "\"" }
      if value.hasPrefix("0x") {
        return Int64(value.dropFirst(2).prefix { $0.isHexDigit }, radix: 16) ?? .min
      }
      return Int64(value.prefix { $0.isNumber || $0 == "-" }) ?? .min
    }
    var expected: [[Int64]] = []
    for line in json.split(separator: "\n") where line.contains("\"n\":\"sched:sched_switch\"") {
      expected.append(
        ["cpu", "prev_pid", "prev_state", "next_pid"].map { number(line, $0) }
          // A task without a number is 0xffffffff there.
          + [Int64(Int32(truncatingIfNeeded: number(line, "tid")))])
    }
    var file = try PerfDataFile(path: folder + "perf.data")
    var found: [[Int64]] = []
    try file.readEvents { event in
      guard case .schedSwitch(let prev, let state, let next) = event.payload else { return }
      found.append([Int64(event.cpu), Int64(prev), state, Int64(next), Int64(event.tid)])
    }
    #expect(!expected.isEmpty)
    #expect(found.count == expected.count)
    #expect(Self.sorted(found) == Self.sorted(expected))
  }

  private static func sorted(_ rows: [[Int64]]) -> [[Int64]] {
    rows.sorted { $0.lexicographicallyPrecedes($1) }
  }

  @Test
  func aKilledRecordingIsCounted() throws {
    var file = try PerfDataFile(
      path: Corpus.root + "/fixtures/x86-edge-cases/perf/killed.perf.data")
    var delivered = 0
    try file.readEvents {
      // Forks need no format.
      if case .fork = $0.payload { return }
      delivered += 1
    }
    #expect(Self.samples(file) == 10034)
    #expect(delivered == 0)
    #expect(file.recording.isIncomplete)
    #expect(file.recording.warnings.contains { $0.contains("no event formats") })
  }

  @Test
  func lossesAreThoseOfPerfReport() throws {
    var file = try PerfDataFile(
      path: Corpus.root + "/fixtures/x86-edge-cases/perf/lost.perf.data")
    var delivered: UInt64 = 0
    try file.readEvents { event in
      if case .lost(let count) = event.payload { delivered += count }
    }
    // perf report --stats: LOST_SAMPLES events 10579 + 2102 + 8.
    #expect(file.losses.samples == 12689)
    #expect(delivered == 12689)
    #expect(file.losses.byCPU == [0: 390, 1: 12299])
    #expect(file.losses.samplesByCPU == file.losses.byCPU)
  }
}
