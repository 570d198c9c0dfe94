import Ptrauth
import Replay
import Testing
import Trace

/// What the recorder left out proves nothing by its absence.
struct OmissionTests {
  private let on = Script.enabled

  private func replay(_ script: Script, _ change: (inout Replayer.Configuration) -> Void)
    -> Analysis
  {
    var configuration = script.configuration
    change(&configuration)
    var replayer = Replayer(configuration)
    for event in script.events { replayer.consume(event) }
    return replayer.finish()
  }

  private func staleEnable() -> Script {
    var script = Script()
    let v = Script.VCPU()
    for hcr in [0, on] {
      script.load(v, hcr: hcr)
      if hcr == 0 { script.trap(v) }
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    return script
  }

  @Test func thinnedEventsAreNotPutTogether() {
    let script = staleEnable()
    #expect(script.correctnessRules == ["stale-enable"])
    for how in [Omissions.How.period(3), .frequency(499), .filter] {
      let analysis = replay(script) {
        $0.omissions.thinned = [Omissions.Thinned(event: "kvm:kvm_exit", how: how)]
      }
      #expect(analysis.findings.isEmpty && analysis.verdict == .incomplete)
      #expect(analysis.missingParts.count == 1)
      #expect(!analysis.judged.contains(.staleEnable))
      #expect(analysis.sequenceBreaks == 0)
    }
    // Of an event that the analysis does not use any part may be missing.
    let other = replay(script) {
      $0.omissions.thinned = [Omissions.Thinned(event: "irq:irq_handler_entry", how: .period(7))]
    }
    #expect(other.findings.contains { $0.rule == .staleEnable })
  }

  /// One sample shows it by itself.
  @Test func aSampleAloneStillCounts() {
    var script = Script()
    var v = Script.VCPU()
    v.features = Script.neither
    script.load(v)
    script.run(v, hcr: EnableBits.apiMask)
    let analysis = replay(script) {
      $0.omissions.thinned = [Omissions.Thinned(event: "sched:sched_switch", how: .period(2))]
    }
    #expect(Set(analysis.findings.map(\.rule.id)) == ["bits-differ", "switch-without-feature"])
  }

  /// Tasks leave for a pCPU and come back from it, and it has no event.
  @Test func aPCPUThatWasLeftOutIsNoticed() {
    var script = staleEnable()
    let v = Script.VCPU()
    for _ in 0..<2 {
      script.switchTasks(v, to: 0)
      script.add(v, .migrateTask(tid: 7, from: 3, to: 0))
    }
    let analysis = script.replay().analysis
    #expect(analysis.unrecordedCPUs == [3])
    #expect(analysis.isIncomplete)
    // Known from the beginning: the thread may have run there between its turns.
    var turns = Script()
    turns.load(v)
    turns.trap(v)
    turns.run(v, hcr: on)
    turns.switchTasks(v, to: 0)
    turns.put(v, hcr: on)
    var idle = v
    idle.tid = 0
    turns.switchTasks(idle, to: v.tid)
    turns.load(v, hcr: on)
    turns.run(v, hcr: on)
    #expect(turns.correctnessRules == ["stale-enable"])
    let careful = replay(turns) { $0.omissions.cpus = 1 }
    #expect(careful.verdict == .incomplete || careful.findings.isEmpty)
  }

  /// A recorder that follows tasks stops at the switch, before the put.
  @Test func aSwitchPuts() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.put(v)
    script.time += 200_000_000
    for _ in 0..<3 {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.switchTasks(v, to: 0)
      script.time += 200_000_000
    }
    let analysis = script.replay().analysis
    #expect(analysis.sequenceBreaks == 0 && analysis.verdict == .clean)
  }

  /// A load probe that was never hit shows no load: neither that there was none.
  @Test func whatWasNeverHitIsNotRecorded() {
    var recording = Recording(path: "", format: "", byteCount: 0, clock: "")
    recording.recordedEvents = ["a", "b"].map {
      RecordedEvent(system: "s", name: $0, isProbe: false, fields: [])
    }
    #expect(recording.shownEvents.count == 2, "nothing was read yet")
    recording.recordedEvents[1].count = 1
    #expect(recording.shownEvents.map(\.name) == ["b"])
  }

  /// kvm_exit was not recorded: no sequence can be told, and none is missing.
  @Test func withoutExitsNothingIsTorn() {
    var script = staleEnable()
    script.time += 300_000_000
    script.events += staleEnable().events.map {
      var event = $0
      event.time += 150_000_000
      return event
    }
    script.events.removeAll { if case .exit = $0.payload { true } else { false } }
    let analysis = replay(script) { $0.recordedEvents.removeAll { $0.name == "kvm_exit" } }
    #expect(analysis.sequenceBreaks == 0)
    #expect(analysis.findings.isEmpty)
  }

  /// Judged means exercised.
  @Test func whatDidNotOccurIsNotJudged() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    #expect(!script.replay().analysis.judged.contains(.staleEnable), "no load had bits to clear")
    #expect(!script.replay().analysis.judged.contains(.bitsDiffer))
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v, hcr: on)
    script.run(v, hcr: 0)
    let judged = script.replay().analysis.judged
    #expect(judged.contains(.staleEnable) && judged.contains(.bitsDiffer))
    #expect(judged.contains(.featureDenied))
  }
}
