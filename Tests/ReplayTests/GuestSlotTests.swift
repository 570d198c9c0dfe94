import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// The guest's key slots between what may write them.
struct GuestSlotTests {
  /// A vCPU that was entered once, so that it is in KVM_RUN: user space writes nothing until it returns.
  private func script(
    _ generation: Generation = .g2, features: UInt64 = Script.both,
    _ body: (inout Script, inout Script.VCPU) -> Void
  ) -> Script {
    var script = Script()
    script.generation = generation
    var v = Script.VCPU()
    v.features = features
    script.load(v)
    script.run(v, hcr: 0)
    body(&script, &v)
    return script
  }

  private func settle(_ script: inout Script, _ v: Script.VCPU) {
    for _ in 0..<4 {
      script.put(v)
      script.load(v)
      script.run(v, hcr: 0)
    }
  }

  @Test(
    "they hold the host's keys behind a run that had none to save",
    arguments: [Script.both, Script.neither])
  func leak(features: UInt64) {
    let script = script(features: features) { script, v in
      v.host = KeySlots(repeating: 0x1234)
      script.put(v)
      script.load(v)
      script.add(v, .entry(pc: 0x4000_0010))
      script.probe(.vcpuRun, v, hcr: 0)
      script.probe(.sync, v, hcr: 0)
      v.guest = v.host
      script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0020))
      script.probe(.handleExit, v, hcr: 0, esr: 0x24 << 26)
      settle(&script, v)
    }
    #expect(script.correctnessRules == ["host-key-leak"])
    #expect(script.finding(.hostKeyLeak, .suspected)?.evidence.count == 3)
  }

  /// Preempted in KVM_RUN: nobody but the kernel can have written them.
  @Test func theyChangeBetweenPutAndLoad() {
    let script = script { script, v in
      settle(&script, v)
      script.put(v)
      v.guest = KeySlots(repeating: 0x77)
      script.load(v)
      script.run(v, hcr: 0)
      settle(&script, v)
    }
    #expect(script.correctnessRules == ["unexplained"])
  }

  /// KVM_SET_ONE_REG.
  @Test func userSpaceWritesThem() {
    let script = script { script, v in
      script.put(v)
      script.add(v, .userspaceExit(reason: 0, errno: 0))
      v.guest = KeySlots(repeating: 0x77)
      script.load(v)
      // Another load, before the first entry.
      script.put(v)
      v.guest = KeySlots(repeating: 0x78)
      script.load(v)
      script.run(v, hcr: 0)
      settle(&script, v)
    }
    #expect(script.correctnessRules == [])
  }

  /// PSCI CPU_ON within KVM_RUN, whose probe was not set.
  @Test func aResetWritesThem() {
    let script = script { script, v in
      script.trap(v)
      script.run(v, hcr: on)
      v.guest = KeySlots(repeating: 0x77)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      v.guest = KeySlots(repeating: KeySlots.resetValue)
      script.load(v, hcr: on)
      script.run(v, hcr: 0)
      settle(&script, v)
    }
    #expect(!script.correctnessRules.contains("unexplained"))
  }

  /// One offset that is wrong is no fault of the kernel's.
  @Test func aLoadProbeThatFetchesAnotherWord() {
    let script = script { script, v in
      for _ in 0..<8 {
        script.put(v)
        var other = v
        other.guest = KeySlots(repeating: 0x55)
        script.load(other)
        script.run(v, hcr: 0)
      }
    }
    #expect(script.correctnessRules == [] && script.replay().analysis.verdict == .incomplete)
  }

  /// Cleared behind an exit, and set again at the next entry: the cost does not tell where they came from.
  @Test func bitsThatComeBackFromNothing() {
    let script = script { script, v in
      script.trap(v)
      script.run(v, hcr: on)
      script.probe(.handleExit, v, hcr: 0)
      script.run(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    #expect(script.correctnessRules == ["unexplained"])
    #expect(script.costRules.contains("early-clear"))
  }
}
