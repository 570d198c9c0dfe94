import ArgumentParser
import FoundationEssentials
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// The Trace Event Format, checked by a reader of its own.
struct PerfettoTests {
  private struct Seen: Decodable {
    var phases: [String: Int]
    var runs: Int
    var findings: [String: Int]
    var tracks: Int
  }

  private func read(_ bytes: [UInt8]) throws -> Seen {
    let path = "/tmp/ptrauth-trace-perfetto-\(getpid())-\(UInt64.random(in: 0 ... .max)).json"
    Corpus.write(bytes, to: path)
    defer { unsafe unlink(path) }
    let ran = try Program.run(
      "python3", [Corpus.root + "/Tests/CommandTests/Validators/perfetto.py", path],
      environment: ["PYTHONDONTWRITEBYTECODE=1"])
    try #require(ran.code == 0, "\(ran.errors)")
    return try JSONDecoder().decode(Seen.self, from: Data(ran.output.utf8))
  }

  @Test(arguments: Corpus.traces)
  func theFormatIsKept(corpus: Corpus) throws {
    let run = try CommandRun([corpus.recording, "--format", "perfetto"])
    let seen = try read(run.output)
    let document = try #require(
      Documents.real.first { corpus.recording.hasSuffix($0.recording.path) })
    let analysis = document.analysis
    let runs = analysis.vcpus.reduce(0) { $0 + Int($1.counters.runs) }
    #expect(seen.runs == runs)
    #expect(seen.tracks == analysis.vcpus.count + analysis.cpus.count)
    let correctness = analysis.findings.filter(\.rule.isCorrectness)
    #expect(
      seen.findings
        == Dictionary(uniqueKeysWithValues: correctness.map { ($0.rule.id, Int($0.count)) }))
  }

  /// A recording longer than the order keeps back is written on the way, sorted all the same.
  @Test func aLongRecordingIsWrittenOnTheWay() throws {
    var trace = PerfettoTrace()
    var bytes = trace.begin()
    var early = 0
    _ = SyntheticRecording(runs: 40_000).replay { entry in
      bytes += trace.add(entry)
      early = bytes.count
    }
    bytes += trace.end()
    #expect(early > bytes.count / 10)
    let seen = try read(bytes)
    #expect(seen.runs == 40_000 && seen.tracks == 12)
  }

  /// What a hostile recording says cannot be drawn is cut to what can.
  @Test func overlapsAreCut() throws {
    var trace = PerfettoTrace()
    var bytes = trace.begin()
    let known = KnownBits(.set, .observed)
    let vcpu = VCPUIdentity(pointer: 1, number: 0, kind: .probe)
    func at(_ time: UInt64) -> Moment { Moment(time: time, cpu: 0, tid: 5) }
    for entry: TimelineEntry in [
      .load(vcpu, at(1000), isImplied: false), .loss(at(1500), since: 1200, count: 3),
      .run(
        Run(
          vcpu: vcpu, tid: 5, pid: 5, cpu: 0, enter: 2000, exit: 9000, ret: 0, ec: nil,
          atEntry: known, atExit: .unknown)),
      .run(
        Run(
          vcpu: vcpu, tid: 5, pid: 5, cpu: 0, enter: 3000, exit: 4000, ret: nil, ec: nil,
          atEntry: .unknown, atExit: known)),
      .put(vcpu, at(5000), isImplied: false), .load(vcpu, at(6000), isImplied: true),
    ] { bytes += trace.add(entry) }
    bytes += trace.end()
    #expect(try read(bytes).runs == 2)
  }

  @Test func oneRecordingOnly() {
    #expect(throws: (any Error).self) {
      _ = try Analyze.parse(["a", "b", "--format", "perfetto"])
    }
  }
}
