import Glibc
import Ptrauth
import Replay
import Testing
import Trace
import ptrauth_trace

/// Every recording once more as if no probe had been set: what kvm tracepoints alone say must never
/// contradict the CPU, on working and on faulty kernels.
struct TracepointTests {
  @Test(arguments: Corpus.all)
  func neverContradictTheCPU(corpus: Corpus) throws {
    var file = try PerfDataFile(path: corpus.recording)
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    var timelines: [[Run]] = []
    for weak in [false, true] {
      var configuration = Replayer.Configuration()
      configuration.generation = weak ? Generation(release: "6.1.0") : session.generation
      configuration.schemeBasis = weak ? .release : .code
      configuration.recordedEvents = file.recording.recordedEvents.filter { !$0.isProbe }
      var runs: [Run] = []
      var replayer = Replayer(configuration) { if case .run(let run) = $0 { runs.append(run) } }
      try file.readEvents { if !isProbe($0.payload) { replayer.consume($0) } }
      let analysis = replayer.finish()
      #expect(analysis.findings.isEmpty, "nothing can be proved from these events")
      #expect(analysis.vcpus.allSatisfy { $0.counters.bounds.lower.contains(.enabledRuns) })
      timelines.append(runs)
    }
    let scores = try TruthScore.of(timelines, corpus)
    for score in scores {
      #expect(score.contradict == 0, "\(score.examples)")
      #expect(score.matched * 10 >= score.runs * 9)
    }
    print("\(corpus.name): \(scores[0].agree) of \(scores[0].matched) runs known without probes")
  }

  /// What nothing samples is at least as much as is proved, and no 0.
  @Test func countersThatNothingSamples() throws {
    let path = "/tmp/ptrauth-trace-unsampled-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let text = """
             vcpu-0-88776   [001] d..1.  6076.581774: kvm_entry: PC: 0x0000000080528a6c
             vcpu-0-88776   [001] ...1.  6076.581784: kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x0000000080528a90

      """
    Corpus.write(Array(text.utf8), to: path)
    defer { unsafe unlink(path) }
    func analyze(_ format: String) throws -> String {
      let words = ["analyze", "-q", "--generation", "v7", "--format", format, path]
      return try Program.run(Program.command, words).output
    }
    let json = try analyze("json").filter { !$0.isWhitespace }
    #expect(json.contains(#""enabledRuns","keyRegister","hidden","hostSaves","resets","undefs"]"#))
    let table = try analyze("text")
    #expect(table.contains(">=0") && table.contains("nothing samples them"))
    #expect(try analyze("html").contains("\u{2265} 0"))
    let rows = try analyze("csv").split(whereSeparator: \.isNewline).map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let column = try #require(rows.first?.firstIndex(of: "enabled_runs"))
    #expect(rows.count == 2 && rows[1][column].isEmpty)
  }
}

private func isProbe(_ payload: Event.Payload) -> Bool {
  if case .probe = payload { return true }
  return false
}
