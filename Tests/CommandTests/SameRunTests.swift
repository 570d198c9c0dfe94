import Glibc
import Ptrauth
import Replay
import Testing
import Trace
import ptrauth_trace

/// One run in every format it was recorded in: the same findings, the same timeline of runs.
@Suite(.enabled(if: Corpus.hasShared, "needs ../shared"), .serialized)
struct SameRunTests {
  private static let run = Corpus.shared + "/v7/good"
  private static let kernel = Corpus.shared + "/kernels/v7/vmlinux.slim.xz"

  /// All that a timeline says of a run, by thread, in order; text has no process and no address.
  struct Outcome: Equatable {
    var verdict: Analysis.Verdict
    var findings: [String]
    var runs: [Int32: [String]] = [:]
    var loads: [UInt64]

    init(_ path: String, _ session: Session) throws {
      var runs: [Run] = []
      let analysis = try session.replay { if case .run(let run) = $0 { runs.append(run) } }
      verdict = analysis.verdict
      findings = analysis.findings.map { "\($0.rule.id) \($0.level) \($0.count)" }
      for run in runs.sorted(by: { $0.enter < $1.enter }) {
        self.runs[run.tid, default: []].append(
          "\(run.vcpu.number ?? -1) \(run.cpu) \(run.ret ?? -1) \(run.ec ?? 0) "
            + "\(run.atEntry.bits) \(run.atExit.bits) \(run.atEntry.basis) \(run.atExit.basis)")
      }
      loads = analysis.vcpus.map(\.counters.loads).sorted()
    }

    init(_ path: String) throws {
      try self.init(path, Session(recording: path, vmlinux: SameRunTests.kernel))
    }
  }

  /// How a file becomes another one of the same run, from the recordings and a scratch folder.
  static let forms: [(name: String, command: String)] = [
    ("trace.dat", "ln -s '\(run)/trace.dat' \"$T\""),
    ("raw per-CPU buffers", "ln -s '\(run)/text' \"$T\""),
    ("trace", "ln -s '\(run)/text/trace.txt.zst' \"$T\""),
    ("trace-cmd report", "ln -s '\(run)/text/report.txt.zst' \"$T\""),
    ("perf script", "ln -s '\(run)/text/script.txt.zst' \"$T\""),
    ("trace.dat, gzip", "gzip -1 < '\(run)/trace.dat' > \"$T\""),
    ("trace.dat, xz", "xz -0 < '\(run)/trace.dat' > \"$T\""),
    ("trace.dat, zstd", "zstd -q < '\(run)/trace.dat' > \"$T\""),
    ("perf.data, xz", "xz -0 < '\(run)/perf.data' > \"$T\""),
    ("trace, gzip", "zstdcat '\(run)/text/trace.txt.zst' | gzip -1 > \"$T\""),
    (
      "raw per-CPU buffers, gzip",
      "cp -r '\(run)/text' \"$T\" && chmod -R u+w \"$T\" && gzip -1 \"$T\"/*_raw"
    ),
  ]

  @Test func everyFormatTellsTheSame() throws {
    let expected = try Outcome(Self.run + "/perf.data")
    #expect(expected.runs.values.reduce(0) { $0 + $1.count } == 1425)
    for (number, form) in Self.forms.enumerated() {
      let target = "/tmp/ptrauth-trace-same-\(getpid())-\(number)"
      defer { _ = unsafe system("rm -rf '\(target)'") }
      try #require(unsafe system("T='\(target)'; \(form.command)") == 0, "\(form.name)")
      let outcome = try Outcome(target)
      #expect(outcome.verdict == expected.verdict, "\(form.name)")
      #expect(outcome.findings == expected.findings, "\(form.name)")
      #expect(outcome.loads == expected.loads, "\(form.name)")
      #expect(outcome.runs.keys.sorted() == expected.runs.keys.sorted(), "\(form.name)")
      for (thread, runs) in expected.runs {
        let found = outcome.runs[thread] ?? []
        let same = zip(runs, found).prefix { $0 == $1 }.count
        #expect(
          same == runs.count && found.count == runs.count,
          "\(form.name): thread \(thread) differs from run \(same) on")
      }
    }
  }

  /// Each recording with losses is incomplete, and says how many on which pCPU.
  @Test(arguments: Corpus.all.filter(\.isLossy), ["perf.data", "trace.dat"])
  func lossesAreCountedByCPU(corpus: Corpus, name: String) throws {
    let path = corpus.directory + "/" + name
    let session = try Session(recording: path, vmlinux: corpus.vmlinux)
    let analysis = try session.replay(timeline: nil)
    #expect(analysis.isIncomplete && analysis.verdict == .incomplete)
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty, "the kernel works")
    let told = Dictionary(uniqueKeysWithValues: analysis.lostEvents.map { ($0.cpu, $0.count) })
    let text =
      name == "trace.dat"
      ? "trace-cmd report -i '\(path)' | sed -n 's/^CPU:\\([0-9]*\\) .\\([0-9]*\\) EVENTS DROPPED.*/\\1 \\2/p'"
      : "perf script -f --show-lost-events -F cpu,event,trace -i '\(path)' --guestkallsyms=/dev/null "
        + "| sed -n 's/^ *.\\([0-9]*\\). *PERF_RECORD_LOST lost \\([0-9]*\\).*/\\1 \\2/p'"
    var expected: [Int32: UInt64] = [:]
    for line in FixtureTests.output(text).split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 2, let cpu = Int32(words[0]), let count = UInt64(words[1]) else {
        continue
      }
      expected[cpu, default: 0] += count
    }
    #expect(!expected.isEmpty)
    #expect(told == expected)
    #expect(session.file.losses.byCPU.keys.sorted() == expected.keys.sorted())
  }
}
