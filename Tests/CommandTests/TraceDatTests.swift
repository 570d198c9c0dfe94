import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// The same run recorded by perf and by trace-cmd at the same time: one replay must tell what the other
/// does. perf starts a little later and ends earlier, outside of the guests' work.
@Suite(.serialized)
struct TraceDatTests {
  static let both = Corpus.all.filter { Corpus.exists($0.directory + "/trace.dat") }

  /// All that a timeline says of a run but its times, which two recorders take one after the other.
  private struct Line: Hashable {
    var cpu: Int32
    var ret: Int32?
    var ec: UInt32?
    var atEntry: KnownBits
    var atExit: KnownBits

    init(_ run: Run) {
      cpu = run.cpu
      ret = run.ret
      ec = run.ec
      atEntry = run.atEntry
      atExit = run.atExit
    }

    /// Equal but for bits that only one of them knows.
    func agrees(with other: Line) -> Bool {
      func agree(_ a: Bit, _ b: Bit) -> Bool { a == b || a == .unknown || b == .unknown }
      return cpu == other.cpu && ret == other.ret && ec == other.ec
        && agree(atEntry.bits.api, other.atEntry.bits.api)
        && agree(atEntry.bits.apk, other.atEntry.bits.apk)
        && agree(atExit.bits.api, other.atExit.bits.api)
        && agree(atExit.bits.apk, other.atExit.bits.apk)
    }
  }

  private struct Outcome {
    var analysis: Analysis
    var runs: [Int32: [Line]] = [:]
    var times: [Int32: [UInt64]] = [:]

    init(_ path: String, _ corpus: Corpus) throws {
      let session = try Session(recording: path, vmlinux: corpus.vmlinux, generation: nil)
      var runs: [Run] = []
      analysis = try session.replay { if case .run(let run) = $0 { runs.append(run) } }
      for run in runs.sorted(by: { $0.enter < $1.enter }) {
        self.runs[run.tid, default: []].append(Line(run))
        times[run.tid, default: []].append(run.enter)
      }
    }

    /// With their counts.
    var findings: [String] {
      analysis.findings.map { "\($0.rule.id) \($0.level) \($0.count)" }.sorted()
    }

    var fired: Set<String> {
      Set(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id))
    }
  }

  @Test(arguments: both)
  func aTraceDatTellsWhatPerfDataTells(corpus: Corpus) throws {
    let perf = try Outcome(corpus.recording, corpus)
    let trace = try Outcome(corpus.directory + "/trace.dat", corpus)
    #expect(trace.analysis.verdict == perf.analysis.verdict)
    #expect(trace.fired == perf.fired)
    if !corpus.isLossy {
      // A host save that is missing shows in the keys; where a thread's own are not known yet, process ids
      // show it too.
      let name = "missed-host-save"
      #expect(
        trace.findings.filter { !$0.hasPrefix(name) }
          == perf.findings.filter { !$0.hasPrefix(name) })
      let counts = [trace, perf].map { one in
        one.analysis.findings.filter { $0.rule == .missedHostSave }.map(\.count).reduce(0, +)
      }
      #expect(counts[0] <= counts[1] && counts[0] * 10 >= counts[1] * 9, "\(counts)")
    }
    #expect(trace.analysis.vcpus.allSatisfy { $0.pid == -1 })
    #expect(Set(trace.analysis.vcpus.map(\.identity)) == Set(perf.analysis.vcpus.map(\.identity)))
    if corpus.isLossy { return }
    #expect(!perf.runs.isEmpty)
    for (thread, lines) in perf.runs {
      let others = trace.runs[thread] ?? []
      #expect(others.count == lines.count)
      // perf also sees threads being made (PERF_RECORD_FORK), so tracepoints alone tell it more.
      #expect(
        zip(others, lines).allSatisfy { corpus.hasProbes ? $0 == $1 : $0.agrees(with: $1) },
        "thread \(thread)")
    }
    #expect(trace.runs.count == perf.runs.count)
    for vcpu in perf.analysis.vcpus {
      let other = trace.analysis.vcpus.first { $0.identity == vcpu.identity }
      #expect(other?.feature == vcpu.feature)
    }
    // The same clock, read twice for each event.
    guard corpus.fact("clock")?.hasPrefix("mono") == true else { return }
    for (thread, times) in perf.times {
      let others = trace.times[thread] ?? []
      #expect(times.count == others.count)
      #expect(zip(times, others).allSatisfy { $0 >= $1 && $0 - $1 < 20_000_000 })
    }
  }

  @Test func theReportNamesTheFormat() throws {
    let corpus = try #require(Self.both.first { $0.name == "traces/v7-good" })
    let session = try Session(
      recording: corpus.directory + "/trace.dat", vmlinux: nil, generation: nil)
    let document = try session.document(try session.replay(timeline: nil))
    #expect(document.recording.format == "trace.dat v7, zstd")
    #expect(document.recording.clock == "local")
    #expect(document.recording.osRelease == "6.1.192-v7")
    #expect(document.recording.architecture == "aarch64")
    #expect(document.recording.cpusOnline == 4)
    #expect(document.kernel.path == corpus.vmlinux)
  }
}
