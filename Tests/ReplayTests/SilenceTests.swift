import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// A recorder that was paused leaves no mark.
struct SilenceTests {
  /// The thread was preempted in the trap handler, as nothing shows: its trap lies in the pause.
  private func preempted(silence: UInt64, idle: Bool = false) -> (Analysis, [TimelineEntry]) {
    var script = Script()
    let v = Script.VCPU()
    script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
    script.load(v)
    script.run(v, hcr: 0)
    if idle {
      script.put(v)
      script.add(v, .schedSwitch(prev: v.tid, prevState: 1, next: 0))
    }
    script.time += silence
    if idle {
      script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
      script.load(v)
    }
    script.put(v)
    script.load(v)
    script.run(v, hcr: on)
    script.time += SequenceBreaks.edge
    script.run(v, hcr: on)
    let replay = script.replay()
    return (replay.analysis, replay.timeline)
  }

  @Test func nothingIsConcludedAcrossOne() {
    let (short, _) = preempted(silence: Silences.shortest / 2)
    #expect(short.findings.contains { $0.rule == .staleEnable })
    #expect(short.silenceCount == 0)
    let (long, timeline) = preempted(silence: 2 * Silences.shortest)
    #expect(!long.findings.contains { $0.rule.isCorrectness })
    #expect(long.silenceCount == 1)
    #expect(long.longestSilence.map { $0.nanoseconds > Silences.shortest } == true)
    #expect(!long.isIncomplete, "it may have been quiet")
    #expect(timeline.contains { if case .loss(_, _, 0) = $0 { true } else { false } })
  }

  /// A guest with its ticks off stays in for as long as it likes: no event is missing, and no bit is claimed of it.
  @Test func aGuestMayStayIn() throws {
    var script = Script()
    let v = Script.VCPU()
    script.time += SequenceBreaks.edge
    script.load(v)
    script.run(v, hcr: 0)
    script.time += SequenceBreaks.edge
    script.probe(.flush, v, hcr: 0)
    script.add(v, .entry(pc: 0x4000_0000))
    script.probe(.vcpuRun, v, hcr: 0)
    script.time += 2 * Silences.shortest
    script.probe(.sync, v, hcr: 0)
    script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0010))
    script.probe(.handleExit, v, hcr: 0, esr: 0x24 << 26)
    script.run(v, hcr: 0)
    script.time += SequenceBreaks.edge
    script.run(v, hcr: 0)
    let (analysis, timeline) = script.replay()
    #expect(analysis.silenceCount == 1)
    #expect(analysis.sequenceBreaks == 0 && !analysis.isIncomplete)
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty)
    let runs = timeline.compactMap { if case .run(let run) = $0 { run } else { nil } }
    #expect(runs.count == 4)
  }

  @Test func anIdleMachineIsNotSilent() {
    let (idle, _) = preempted(silence: 2 * Silences.shortest, idle: true)
    #expect(idle.silenceCount == 0)
    #expect(idle.findings.contains { $0.rule == .staleEnable })
  }

  /// Two runs may stand as one: a pause is no finding, and no judgement; a pattern is.
  @Test func aGuardAcrossASilenceIsNoProof() {
    func analysis(_ silence: UInt64, times: Int) -> Analysis {
      var script = Script()
      let v = Script.VCPU()
      script.load(v)
      for _ in 0..<times {
        script.probe(.flush, v, hcr: on)
        script.add(v, .entry(pc: 0x4000_0000))
        script.probe(.vcpuRun, v, hcr: on)
        script.time += silence
        script.probe(.sync, v, hcr: 0)
        script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0010))
        script.probe(.handleExit, v, hcr: 0, esr: 0x24 << 26)
      }
      return script.replay().analysis
    }
    func level(_ analysis: Analysis) -> Finding.Level? {
      analysis.findings.first { $0.rule == .missedHostRestore }?.level
    }
    #expect(level(analysis(Silences.tick / 2, times: 1)) == .suspected, "the guest ran alone")
    for pauses in 1...2 {
      let paused = analysis(Silences.tick, times: pauses)
      #expect(level(paused) == nil)
      #expect(!paused.judged.contains(.missedHostRestore))
      #expect(paused.notObservable.contains { $0.reason.contains("paused") })
    }
    #expect(level(analysis(Silences.tick, times: 3)) == .suspected)
  }
}
