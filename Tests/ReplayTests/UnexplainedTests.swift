import Observation
import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// What no run of the code makes, where no other rule tells why.
struct UnexplainedTests {
  private func script(_ generation: Generation, _ body: (inout Script, Script.VCPU) -> Void)
    -> Script
  {
    var script = Script()
    script.generation = generation
    body(&script, Script.VCPU())
    return script
  }

  /// Set while it was put, by nobody that the code knows; and no run follows.
  @Test func behindTheLastRun() {
    let script = script(.g2) { script, v in
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v, hcr: 0)
      script.load(v, hcr: on)
      script.put(v, hcr: 0)
    }
    #expect(script.correctnessRules == ["unexplained"])
    #expect(script.finding(.unexplained, .suspected)?.evidence.last?.event == "kvm_arch_vcpu_load")
  }

  /// The pCPU that the vCPU left wrote nothing more: what set the bits may be among what it lost. That is said.
  @Test(arguments: [true, false])
  func thePCPUThatItLeftFellSilent(writesAgain: Bool) {
    let script = script(.g2) { script, v in
      var v = v
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v, hcr: 0)
      v.cpu = 1
      v.hostContext += 0x1000
      script.load(v, hcr: on)
      script.put(v, hcr: 0)
      v.cpu = 0
      if writesAgain { script.switchTasks(v, to: 0) }
    }
    #expect(script.correctnessRules == (writesAgain ? ["unexplained"] : []))
    let unsaid = script.replay().analysis.notObservable.first { $0.rule == .unexplained }
    #expect((unsaid?.reason.contains("wrote nothing") ?? false) == !writesAgain)
  }

  /// A pass whose kvm_entry was lost says nothing of the one behind it.
  @Test(arguments: [0, on])
  func aPassWithoutItsEntry(next: UInt64) {
    let script = script(.g1) { script, v in
      func pass(_ hcr: UInt64) {
        script.probe(.vcpuRun, v, hcr: hcr)
        script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0000))
        script.probe(.handleExit, v, hcr: hcr)
      }
      script.load(v)
      script.add(v, .entry(pc: 0x4000_0000))
      pass(0)
      script.add(v, .lost(count: 5))
      pass(on)
      script.put(v, hcr: on)
      script.load(v, hcr: on)
      script.add(v, .entry(pc: 0x4000_0000))
      pass(next)
    }
    #expect(script.correctnessRules.contains("stale-enable") == (next == on))
    #expect(next == on || script.correctnessRules == [])
  }

  /// Cleared behind an exit, and set again at the next entry: the cost does not tell where they came from.
  @Test func bitsThatComeBackFromNothing() {
    let script = script(.g2) { script, v in
      script.load(v)
      script.run(v, hcr: 0)
      script.trap(v)
      script.run(v, hcr: on)
      script.probe(.handlePtrauth, v, hcr: 0)
      script.run(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    #expect(script.correctnessRules == ["unexplained"])
    #expect(script.costRules.contains("early-clear"))
  }

  /// With pKVM 6.12's load leaves the shadow alone, and what comes back with an exit is EL2's.
  @Test func aHostInProtectedModeIsNotAccused() {
    let script = script(.g6) { script, v in
      script.load(v)
      script.run(v, hcr: 0, after: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      script.load(v, hcr: on)
      script.run(v, hcr: on)
    }
    #expect(script.correctnessRules == [])
  }

  /// A load that set the bits says that the host is none of those; then one that does not is told.
  @Test func aLoadThatSetsNothing() {
    let script = script(.g6) { script, v in
      script.load(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      script.load(v, hcr: on)
      script.run(v, hcr: 0)
    }
    #expect(script.correctnessRules == ["unexplained"])
    #expect(script.costRules.allSatisfy { $0 != "early-clear" })
  }

  /// Cleared behind an exit, before the put: the next load would have cleared it too.
  @Test func anEarlyClearIsACost() {
    let script = script(.g2) { script, v in
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: 0)
    }
    #expect(script.correctnessRules == [] && script.costRules.contains("early-clear"))
  }

  /// A stream says what it samples only when it does: from then on an SError may have been pending at a trap.
  @Test func aStreamThatBeginsToSample() {
    var configuration = Replayer.Configuration()
    configuration.generation = .g2
    configuration.resolve = { _ in nil }
    var replayer = Replayer(configuration)
    #expect(replayer.observer?.hypotheses.contains(where: \.hasSErrors) == false)
    replayer.learn(
      RecordedEvent(system: "probes", name: "sync", isProbe: true, fields: ["vcpu", "hcr_el2"]))
    #expect(replayer.observer?.hypotheses.allSatisfy(\.hasSErrors) == true)
  }
}
