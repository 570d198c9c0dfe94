import Ptrauth
import Replay
import Testing
import Trace
import ptrauth_trace

/// Records of the function tracer, against what probes sampled in the same recording.
struct FunctionTracerTests {
  private static let path = Corpus.root + "/traces/deb-6.1-functions/trace.dat"

  private struct Key: Hashable {
    var tid: Int32
    var enter: UInt64
  }

  /// Replays the events that fit, as if no others had been recorded.
  private func runs(
    generation: Generation = .g5, where fits: (Event) -> Bool = { _ in true }, hidesProbes: Bool
  ) throws -> (Analysis, [Key: Run]) {
    let file = try RecordingFile(path: Self.path)
    let image = try #require(
      try? KernelChoice(explicit: Corpus.traces[0].vmlinux, recording: file.recording))
    var configuration = Replayer.Configuration()
    configuration.generation = generation
    configuration.recordedEvents = file.recording.recordedEvents.filter {
      !$0.isProbe || !hidesProbes
    }
    if let binding = image.binding { configuration.resolve = binding.function(at:) }
    var runs: [Key: Run] = [:]
    var replayer = Replayer(configuration) { entry in
      if case .run(let run) = entry { runs[Key(tid: run.tid, enter: run.enter)] = run }
    }
    try file.readEvents { event in
      if case .probe(let hit) = event.payload, !hit.isTraced, hidesProbes { return }
      if fits(copy event) { replayer.consume(event) }
    }
    return (replayer.finish(), runs)
  }

  @Test func trapsAtEL2AreSeenWithoutProbes() throws {
    let (full, truth) = try runs(hidesProbes: false)
    let (analysis, alone) = try runs(hidesProbes: true)
    #expect(analysis.verdict == .cannotJudge, "costs alone")
    func hidden(_ analysis: Analysis) -> [UInt64] {
      analysis.vcpus.map(\.counters.hiddenTraps).sorted()
    }
    // A trap just before another key register's trap in the same run may be that one: not claimed.
    #expect(zip(hidden(analysis), hidden(full)).allSatisfy { $0 <= $1 && $0 + 8 >= $1 })
    #expect(hidden(full).suffix(2) == [321, 370])
    #expect(
      analysis.vcpus.count { $0.feature == .both && $0.identity.kind == .thread } == 2,
      "proved by the traps")
    var compared = 0
    for (key, run) in alone {
      let sampled = try #require(truth[key])
      for (claim, sample) in [(run.atEntry, sampled.atEntry), (run.atExit, sampled.atExit)]
      where claim.bits.isKnown && sample.bits.isKnown {
        compared += 1
        #expect(claim.bits == sample.bits, "\(run)")
      }
    }
    #expect(compared > 2000, "\(compared)")
    // Loads and puts are events here.
    #expect(analysis.vcpus.allSatisfy { !$0.counters.bounds.lower.contains(.loads) })
    #expect(full.vcpus.map(\.counters.loads).reduce(0, +) > 1500)
    let missing =
      full.vcpus.map(\.counters.loads).reduce(0, +)
      - analysis.vcpus.map(\.counters.loads).reduce(0, +)
    // Those of the main thread's ioctls, before a thread is known to run a vCPU.
    #expect(missing < 20, "\(missing)")
  }

  /// The same call is recorded twice where a function is probed and traced.
  @Test func aProbedFunctionIsNotCountedTwice() throws {
    let (both, _) = try runs(hidesProbes: false)
    let (probes, _) = try runs(
      where: { event in
        if case .probe(let hit) = event.payload { return !hit.isTraced }
        return true
      }, hidesProbes: false)
    #expect(both.vcpus.map(\.counters) == probes.vcpus.map(\.counters))
    #expect(both.probeAddresses == probes.probeAddresses)
  }

  /// Without the function in the tracer's filter nothing is claimed.
  @Test func nothingIsClaimedWithoutTheHandler() throws {
    let (analysis, runs) = try runs(
      where: { event in
        if case .probe(let hit) = event.payload, hit.isTraced {
          return hit.address & ~0xfff != 0xffff_8000_0808_4000
        }
        return true
      }, hidesProbes: true)
    #expect(analysis.vcpus.allSatisfy { $0.counters.hiddenTraps == 0 })
    #expect(!runs.values.contains { $0.atExit.bits == .set || $0.atEntry.bits == .set })
  }
}
