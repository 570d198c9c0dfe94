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
      #expect(analysis.vcpus.allSatisfy { $0.counters.bitsAreUnsampled })
      timelines.append(runs)
    }
    let scores = try TruthScore.of(timelines, corpus)
    for score in scores {
      #expect(score.contradict == 0, "\(score.examples)")
      #expect(score.matched * 10 >= score.runs * 9)
    }
    print("\(corpus.name): \(scores[0].agree) of \(scores[0].matched) runs known without probes")
  }
}

private func isProbe(_ payload: Event.Payload) -> Bool {
  if case .probe = payload { return true }
  return false
}
