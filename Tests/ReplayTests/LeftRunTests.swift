import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// A thread that left its pCPU between kvm_exit and handle_exit: what is sampled then is of whoever was there meanwhile.
struct LeftRunTests {
  enum Missing: CaseIterable {
    case load, putAndLoad, switchesToo, switchIn
  }

  /// `v` is preempted behind its exit, and another process saves its keys where it was.
  private func script(without missing: Missing?) -> Script {
    var script = Script()
    var v = Script.VCPU()
    v.host = KeySlots(seed: 1)
    var other = v
    other.pointer += 0x8000
    other.number = 1
    (other.tid, other.pid) = (201, 200)
    other.host = KeySlots(seed: 2)
    for vcpu in [v, other] {
      script.switchTasks(vcpu.tid == v.tid ? other : v, to: vcpu.tid)
      script.load(vcpu)
      script.trap(vcpu)
      script.run(vcpu, hcr: on)
      script.put(vcpu, hcr: on)
    }
    script.switchTasks(other, to: v.tid)
    script.load(v, hcr: on)
    script.trap(v)
    pass(v, &script)
    script.enter(v, hcr: on, pc: 0x4000_0100)
    script.probe(.sync, v, hcr: on)
    script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0140))
    if missing != .switchesToo { script.switchTasks(v, to: other.tid) }
    if missing == nil || missing == .load { script.put(v, hcr: on) }
    script.load(other, hcr: on)
    script.trap(other)
    script.run(other, hcr: on)
    script.put(other, hcr: on)
    if missing != .switchesToo, missing != .switchIn { script.switchTasks(other, to: v.tid) }
    if missing == nil { script.load(v, hcr: on) }
    var seen = v
    seen.host = other.host
    script.probe(.handleExit, seen, hcr: missing == nil ? 0 : on, exitCode: 0)
    pass(v, &script, hcr: missing == nil ? 0 : on)
    return script
  }

  /// Switched out and back between two runs, which puts it and loads it; and a run whose end is missing.
  @Test(arguments: [true, false])
  func betweenRuns(isWhole: Bool) {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    pass(v, &script, hcr: 0)
    script.switchTasks(v, to: 0)
    if isWhole { script.put(v) }
    script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
    if isWhole { script.load(v) }
    pass(v, &script, hcr: 0)
    #expect(script.replay().analysis.isIncomplete != isWhole)
  }

  @Test func theExitIsMissing() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    pass(v, &script, hcr: 0)
    script.enter(v, hcr: 0, pc: 0x4000_0010)
    script.probe(.sync, v, hcr: 0)
    script.probe(.flush, v, hcr: 0)
    script.probe(.sync, v, hcr: 0)
    pass(v, &script, hcr: 0)
    #expect(script.replay().analysis.isIncomplete)
  }

  /// So long that what is missing is not at an end of the recording.
  private func pass(_ v: Script.VCPU, _ script: inout Script, hcr: UInt64 = on) {
    for _ in 0..<12 {
      script.time += 10_000_000
      script.run(v, hcr: hcr)
    }
  }

  @Test func whole() {
    let analysis = script(without: nil).replay().analysis
    #expect(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id) == [])
    #expect(!analysis.isIncomplete)
  }

  @Test(arguments: Missing.allCases)
  func incomplete(missing: Missing) {
    let analysis = script(without: missing).replay().analysis
    #expect(
      analysis.findings.filter { $0.rule.isCorrectness && $0.level == .proved }.map(\.rule.id)
        == [])
    #expect(analysis.isIncomplete)
  }
}
