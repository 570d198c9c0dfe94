import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// Recordings whose probes or recorder were set up wrongly accuse no kernel.
struct MisfetchTests {
  /// hcr_el2 is fetched at the put alone: what the handler of a trap set by then, the run before it did not have.
  @Test func aPutBehindATrapSaysNothingOfItsRun() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    script.load(v)
    script.trap(v)
    script.put(v, hcr: on)
    #expect(script.correctnessRules == [])
    script.events = script.events.map { event in
      guard case .probe(let hit) = event.payload, hit.address != Script.address(.vcpuPut) else {
        return event
      }
      var fields = hit.fields
      fields.hcr = nil
      return Event(
        time: event.time, cpu: event.cpu, pid: event.pid, tid: event.tid,
        payload: .probe(ProbeHit(address: hit.address, isReturn: hit.isReturn, fields: fields)))
    }
    #expect(script.correctnessRules == [])
  }

  /// Two samples of one vCPU's features disagree: neither is believed, until its reset.
  @Test func featuresThatDisagreeAreUnknown() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    v.features = Script.neither
    script.put(v, hcr: on)
    script.load(v)
    script.run(v, hcr: on)
    script.run(v, hcr: on)
    let analysis = script.replay().analysis
    #expect(!analysis.findings.contains { $0.rule == .switchWithoutFeature })
    #expect(analysis.vcpus.first?.feature == .unknown)
  }

  /// Recorded from another pid namespace all threads have the id 0.
  @Test func threadsWithoutAnIDProveNothing() {
    var script = Script()
    var v = Script.VCPU()
    var other = v
    (v.tid, v.pid) = (0, 0)
    (other.tid, other.pid, other.features) = (0, 0, Script.neither)
    other.pointer += 0x8000
    script.load(v)
    script.trap(v)
    script.load(other)
    script.run(other, hcr: on)
    let analysis = script.replay().analysis
    #expect(!analysis.findings.contains { $0.rule.isCorrectness && $0.level == .proved })
    #expect(analysis.verdict == .incomplete)
    #expect(analysis.missingParts.contains { $0.contains("thread ids") })
  }

  /// What is about a pCPU's host context concerns every vCPU.
  @Test func whatIsOfNoVCPUIsShownForEach() {
    var scope = Scope(words: "--vcpu 1")
    scope.vcpus = [VCPUIdentity(pointer: 1, number: 1, kind: .probe)]
    #expect(scope.admits(nil))
    #expect(!scope.admits(VCPUIdentity(pointer: 2, number: 2, kind: .probe)))
  }

  /// What looks like a stale enable may be a trap where nothing was recorded: no finding, and not judged.
  @Test func whatMayHaveAnotherReasonIsNotJudged() {
    var script = Script()
    var v = Script.VCPU()
    for _ in 0..<2 {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      script.load(v, hcr: on)
      script.run(v, hcr: 0)
      script.put(v)
    }
    script.add(v, .migrateTask(tid: v.tid, from: 7, to: 0))
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    v.cpu = 0
    var configuration = script.configuration
    configuration.recordedEvents.append(
      RecordedEvent(system: "sched", name: "sched_migrate_task", isProbe: false, fields: []))
    var replayer = Replayer(configuration)
    for event in script.events { replayer.consume(event) }
    let analysis = replayer.finish()
    #expect(!analysis.findings.contains { $0.rule == .staleEnable })
    #expect(
      analysis.notObservable.contains {
        $0.rule == .staleEnable && $0.reason.contains("another reason")
      })
  }
}
